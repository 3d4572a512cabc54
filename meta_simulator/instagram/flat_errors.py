"""Errors of api.instagram.com: flat, with the HTTP status for a code, told apart by their text only.

Source: what clients report; Meta documents the shape without a list.
"""

from starlette.responses import Response

from meta_simulator.errors import GraphError
from meta_simulator.graph.answer import ErrorShape, GraphJSONResponse, error_answer

SERVER_ERROR = 500


def flat_error(message: str) -> GraphError:
    """Return an error of the token endpoint: HTTP 400, which is its code too."""
    return GraphError(message, 400)


def code_not_found() -> GraphError:
    """Return the error of a code that is unknown, used, or another app's."""
    return flat_error("Matching code was not found or was already used")


def code_expired() -> GraphError:
    """Return the error of a code that was kept for too long."""
    return flat_error("This authorization code has expired")


def redirect_uri_mismatch() -> GraphError:
    """Return the error of an exchange whose redirect URI is not the dialog's."""
    return flat_error(
        "Error validating verification code. Please make sure your redirect_uri is identical to the one"
        " you used in the OAuth dialog request"
    )


def wrong_secret() -> GraphError:
    """Return the error of a secret that is not the app's."""
    return flat_error("Error validating client secret.")


def unknown_app() -> GraphError:
    """Return the error of an id that no app has at Instagram, a Facebook app id for instance."""
    return flat_error("Invalid platform app")


def _write(error: GraphError, version: str) -> Response:
    if error.status >= SERVER_ERROR:  # not from the endpoint itself, but from what stands before it
        return error_answer(error, version)
    body = {"error_type": error.type, "code": error.status, "error_message": error.message}
    return GraphJSONResponse(body, status_code=error.status, headers=error.headers())


FLAT_ERRORS = ErrorShape(
    _write,
    {
        "code_used": code_not_found,
        "code_expired": code_expired,
        "redirect_uri_mismatch": redirect_uri_mismatch,
        "wrong_secret": wrong_secret,
        "unknown_application": unknown_app,
    },
)
