"""Errors of api.instagram.com: flat, with the HTTP status as code; only the message differs.

Source: client reports. Meta documents the format but does not list the errors.
"""

from starlette.responses import Response

from meta_simulator.errors import GraphError
from meta_simulator.graph.response import ErrorFormat, GraphJSONResponse, error_response

SERVER_ERROR = 500


def flat_error(message: str) -> GraphError:
    """Return an error of the token endpoint, with HTTP status and code 400."""
    return GraphError(message, 400)


def code_not_found() -> GraphError:
    """Return the error for a code that is unknown, used, or another app's."""
    return flat_error("Matching code was not found or was already used")


def code_expired() -> GraphError:
    """Return the error for an expired code."""
    return flat_error("This authorization code has expired")


def redirect_uri_mismatch() -> GraphError:
    """Return the error for a redirect URI that differs from the one used in the dialog."""
    return flat_error(
        "Error validating verification code. Please make sure your redirect_uri is identical to the one"
        " you used in the OAuth dialog request"
    )


def wrong_secret() -> GraphError:
    """Return the error for a wrong app secret."""
    return flat_error("Error validating client secret.")


def unknown_app() -> GraphError:
    """Return the error for an id that is not an Instagram app id, such as a Facebook app id."""
    return flat_error("Invalid platform app")


def _render(error: GraphError, version: str) -> Response:
    if error.status >= SERVER_ERROR:  # not from the endpoint itself, but from what stands before it
        return error_response(error, version)
    body = {"error_type": error.type, "code": error.status, "error_message": error.message}
    return GraphJSONResponse(body, status_code=error.status, headers=error.headers())


FLAT_ERRORS = ErrorFormat(
    _render,
    {
        "code_used": code_not_found,
        "code_expired": code_expired,
        "redirect_uri_mismatch": redirect_uri_mismatch,
        "wrong_secret": wrong_secret,
        "unknown_application": unknown_app,
    },
)
