"""What is measured side by side.

kinds      all of them
kind       what a candidate is, and its duties
gateway    this gateway
plain      Starlette and httpx (`plain_app`)
envoy      Envoy
traefik    Traefik
caddy      Caddy
limits     nginx as a proxy, and no proxy
"""
