"""nginx: the static upstream of all candidates, and itself a candidate as a proxy that has no duties."""

import subprocess
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.bench import processes
from tests.bench.programs import path_of

JOB = (
    '{"id":"bench","inputBlobUri":"https://bench.blob.core.windows.net/in/graph.ndjson",'
    '"outputBlobUri":"https://bench.blob.core.windows.net/out/log.ndjson",'
    '"createdDateTime":"2026-01-01T00:00:00.0000000Z","status":"running"}'
)
_COMMON = """
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log stderr error;
events {{ worker_connections 8192; }}
http {{
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  access_log off;
  sendfile on;
  keepalive_requests 1000000000;
  keepalive_timeout 600s;
  client_max_body_size 0;
{http}
}}
"""
# `mirror` has a body read to its end before the answer, as a service would; what is left for a PUT of a file
# is 405, which `error_page` turns into the answer.
_UPSTREAM = """
default_type application/json;
open_file_cache max=16;
log_format short "$status $request";
map "$server_port:$http_authorization" $refused {{
  default 1;
  "~^{open}:" 0;
  "~^[0-9]+:Bearer ." 0;
}}
server {{
  listen 127.0.0.1:{guarded} backlog=4096;
  listen 127.0.0.1:{open} backlog=4096;
  root {folder}/www;
  access_log {folder}/refused.log short if=$refused;
  add_header x-ms-request-id 8f8b4cf7-6c2b-4a39-9a60-3d3a3d5f8d11 always;
  if ($refused) {{ return 401; }}
  location = /_status {{ stub_status; }}
  location = /_read {{ internal; return 204; }}
  location = /jobs/imports/bench {{
    if ($request_method = GET) {{ return 200 '{job}'; }}
    mirror /_read;
    error_page 405 =201 @created;
  }}
  location = /jobs/imports {{ try_files /list =404; }}
  location = /digitaltwins/room {{
    client_body_buffer_size 64k;
    mirror /_read;
    try_files /list =404;
    error_page 405 =200 @stored;
  }}
  location = /digitaltwins/large {{
    client_body_buffer_size 80m;
    mirror /_read;
    try_files /large =404;
    error_page 405 =200 @stored;
  }}
  location @created {{ return 201 '{job}'; }}
  location @stored {{ return 200 '{{"id":"room"}}'; }}
  location / {{ default_type text/html; return 404 '<html><body><h1>Not Found</h1></body></html>'; }}
}}
"""
_PROXY = """
upstream upstream {{ server 127.0.0.1:{upstream}; keepalive 1024; }}
server {{
  listen 127.0.0.1:{port} backlog=4096;
  location / {{
    proxy_pass http://upstream;
    proxy_http_version 1.1;
    proxy_request_buffering off;
    proxy_max_temp_file_size 0;
    proxy_buffers 16 256k;
    proxy_busy_buffers_size 1m;
    client_body_buffer_size 256k;
    proxy_set_header Connection "";
    proxy_set_header Host $http_host;
    proxy_set_header Authorization "Bearer {token}";
  }}
}}
"""


def upstream_config(folder: Path, guarded: int, without_token: int) -> str:
    """Answers 401 to what comes to `guarded` without a token, and writes it to `refused.log`."""
    job = JOB.replace("'", "")
    http = _UPSTREAM.format(folder=folder, guarded=guarded, open=without_token, job=job)
    return _COMMON.format(folder=folder, http=textwrap.indent(http, "  "))


def proxy_config(folder: Path, port: int, upstream: int, token: str) -> str:
    """Passes everything on with a token."""
    http = _PROXY.format(port=port, upstream=upstream, token=token)
    return _COMMON.format(folder=folder, http=textwrap.indent(http, "  "))


@contextmanager
def nginx(config: str, folder: Path, cores: set[int]) -> Iterator["subprocess.Popen[str]"]:
    """A process with that configuration; raises MissingProgramError."""
    path = folder / "nginx.conf"
    path.write_text(config)
    command = (path_of("nginx"), "-p", str(folder), "-e", "stderr", "-c", str(path))
    with processes.program(*command, cores=cores) as process:
        yield process
