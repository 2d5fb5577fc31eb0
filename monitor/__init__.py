"""Watches the LinkedIn accounts behind Linked API and tells people when one stops working."""

__version__ = "0.1.0"
