"""The Grafana dashboards of adt-gateway, made by code: `python -m grafana` writes them.

    queries        PromQL over the gateway's metrics, for the chosen jobs and instances
    panels         what every panel has; panels of one number
    graphs         panels over time, and tables
    board          a dashboard: rows, grid, variables, links, annotations
    traffic        panels of the apps' requests and their errors
    upstream       panels of the attempts at ADT
    tokens         panels of the token
    jobs           panels of the jobs
    job_requests   panels of the requests to the Jobs API
    fleet          panels of gateways that share a limit
    itself         panels of the gateway itself
    boards         the three dashboards, and their files

Only metrics of the README's table are used, beside `process_*`; a test keeps both equal.
"""
