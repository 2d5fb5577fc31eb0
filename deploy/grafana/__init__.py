"""The dashboards of Grafana, from code.

`python -m deploy.grafana` writes them into the folder dashboards;
`python -m deploy.grafana.picture` draws them from the data of a Prometheus.
"""
