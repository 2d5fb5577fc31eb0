"""The dashboards of Grafana, from code.

`python -m deploy.grafana` writes them into the folder dashboards; `picture` draws them from the
data of a Prometheus, without Grafana.
"""
