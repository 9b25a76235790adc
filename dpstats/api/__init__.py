"""The HTTP door: each route reads a request, calls one method of the workspace, and sends what it gives."""

from dpstats.api.app import app_of_home, create_app

__all__ = ["app_of_home", "create_app"]
