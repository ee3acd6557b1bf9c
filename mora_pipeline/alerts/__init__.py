"""What somebody has to know who is not looking: alerts, the ways that they are sent, and what still stands."""

from mora_pipeline.alerts.alert import KINDS, Alert
from mora_pipeline.alerts.standing import forget, open_alerts, raise_alert, settle, watch

__all__ = ["KINDS", "Alert", "forget", "open_alerts", "raise_alert", "settle", "watch"]
