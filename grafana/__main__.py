"""`python -m grafana` writes the dashboards."""

from grafana.boards import files

for path, text in files().items():
    path.write_text(text, encoding="utf-8")
