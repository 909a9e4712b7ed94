"""Routes about the process itself: whether it lives, is ready, and what it counts."""

from typing import Final

from bridge.http.codes import LEDGER_UNAVAILABLE, OPERATOR_KEY_NEEDED
from bridge.http.readiness import ReadinessShape
from bridge.http.routing import Access, Answer, Call, Route

METRICS_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"


async def healthz(_: Call) -> Answer:
    """Tell that the process answers. It does so from the first moment on."""
    return Answer({"status": "ok"})


async def readyz(call: Call) -> Answer:
    """Tell how every part is, without naming a tenant; 503 while no work can be taken."""
    report = await call.back.readiness.report()
    return Answer(report, 200 if report.ready else 503)


async def metrics(call: Call) -> Answer:
    """Return what is counted, in Prometheus's text format. Needs an operator key, since it names every tenant."""
    return Answer(call.back.metrics.render(await call.back.statuses.recent()), content_type=METRICS_TYPE)


ROUTES: Final = (
    Route("GET", "/healthz", "Liveness", healthz, {200: dict[str, str]}, Access.PUBLIC),
    Route(
        "GET",
        "/readyz",
        "Readiness, with a reason for each part",
        readyz,
        {200: ReadinessShape, 503: ReadinessShape},
        Access.PUBLIC,
    ),
    Route(
        "GET",
        "/metrics",
        "Metrics in Prometheus's text format; needs an operator key",
        metrics,
        {200: bytes},
        Access.OPERATOR,
        codes=(OPERATOR_KEY_NEEDED, LEDGER_UNAVAILABLE),
    ),
)
