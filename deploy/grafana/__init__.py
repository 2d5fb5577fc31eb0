"""The dashboards of Grafana, from code: `python -m deploy.grafana` writes them as JSON files."""
