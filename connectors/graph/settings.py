"""What every one of Meta's platforms is asked with."""

from __future__ import annotations

from dataclasses import dataclass, field

from connectors import configured
from monitor.settings import Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphSettings:
    """Facebook's and Instagram's address and version; a platform elsewhere says its own."""

    access_token: Secret = field(default_factory=Secret)
    app_secret: Secret = field(default_factory=Secret)
    api_version: str = "v26.0"
    base_url: str = "https://graph.facebook.com"

    def problems(self) -> configured.Problems:
        usual = type(self)()
        return configured.only(
            base_url=configured.base_url_mistake(self.base_url, usual=usual.base_url),
            api_version=configured.graph_version_mistake(self.api_version, usual=usual.api_version),
            access_token=configured.token_mistake(self.access_token),
            app_secret=configured.token_mistake(self.app_secret),
        )
