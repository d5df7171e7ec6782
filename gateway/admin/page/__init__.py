"""`/`: the gateway's state for people, drawn on the server; a small script keeps an open page up to date.

document   the page and its assets as responses
verdict    the one line on top: how it is, and why
traffic    ten minutes of requests as figures and plots
plots      numbers by time step to the shapes of an SVG
timeline   jobs as rows, each with a bar on a common time axis
links      where a trace and a job are shown
words      times, durations and numbers for people; text from outside made harmless
templates/ the HTML
static/    style and script
"""

from gateway.admin.page.document import Page
from gateway.admin.page.timeline import latest
from gateway.admin.page.words import brief

__all__ = ["Page", "brief", "latest"]
