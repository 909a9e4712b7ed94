"""Where Retab's resources are. Every address begins with the configured one: the API key goes nowhere else."""

from collections.abc import Mapping
from urllib.parse import quote, urlencode


class Addresses:
    """The addresses below one base URL. Ids are opaque: whatever stands in them is encoded."""

    def __init__(self, base_url: str) -> None:
        self._root = f"{base_url.rstrip('/')}/v1"
        self._reviews = f"{self._root}/workflows/reviews"
        self._versions = f"{self._reviews}/versions"

    def reviews(self, query: Mapping[str, str]) -> str:
        """Return the address of the list of reviews with this query."""
        return _with_query(self._reviews, query)

    def review(self, review_id: str) -> str:
        """Return the address of a review."""
        return f"{self._reviews}/{_segment(review_id)}"

    def decision(self, review_id: str, action: str) -> str:
        """Return where ``approve`` and ``reject`` are posted to."""
        return f"{self.review(review_id)}/{action}"

    def versions(self, query: Mapping[str, str]) -> str:
        """Return the address of the list of a review's versions with this query."""
        return _with_query(self._versions, query)

    def version(self, version_id: str) -> str:
        """Return the address of a version."""
        return f"{self._versions}/{_segment(version_id)}"

    def run(self, run_id: str) -> str:
        """Return the address of a workflow run."""
        return f"{self._root}/workflows/runs/{_segment(run_id)}"

    def step(self, step_id: str, run_id: str | None) -> str:
        """Return the address of a step of a run."""
        address = f"{self._root}/workflows/steps/{_segment(step_id)}"
        return _with_query(address, {"run_id": run_id}) if run_id is not None else address

    def artifact(self, artifact_id: str) -> str:
        """Return the address of what a step produced."""
        return f"{self._root}/workflows/artifacts/{_segment(artifact_id)}"


def _with_query(address: str, query: Mapping[str, str]) -> str:
    return f"{address}?{urlencode(query, quote_via=quote, safe='')}"


def _segment(name: str) -> str:
    """Encode an id as one segment of a path, a lone dot included, which would otherwise climb."""
    encoded = quote(name, safe="", errors="surrogatepass")
    return encoded.replace(".", "%2E") if not encoded.strip(".") else encoded
