"""Alerts: signals evaluated as events arrive, each edge on record before anybody is told.

Who sends them implements `Delivery` and is given to the console's `Alerts`; see `delivery`.
"""

from __future__ import annotations

from jackline_console.alerts.delivery import AlertEvent, Delivery, Edge, NoDelivery, Sent, Severity

__all__ = ["AlertEvent", "Delivery", "Edge", "NoDelivery", "Sent", "Severity"]
