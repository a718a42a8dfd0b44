# SPDX-License-Identifier: Apache-2.0
"""`/docs`: what each route takes and gives, as a page without scripts and outside requests."""

import json
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse

from ...text import NOTICE
from ..service import Service

METHODS = ("get", "head", "post", "put", "patch", "delete", "options")
DEEPEST = 4  # objects within objects that an example shows
# what a client types, from an image to its mask
STEPS = """\
curl --data-binary @ct.nii.gz -H "X-File-Name: ct.nii.gz" {server}/api/images
curl --json '{{"image": "IMAGE", "bundle": "{bundle}"}}' {server}/api/jobs
curl "{server}/api/jobs/JOB?wait=30"
curl -O {server}/api/jobs/JOB/files/segmentation.nii.gz
"""
STYLE = """\
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h3 { margin: 2rem 0 0.5rem; font-family: ui-monospace, monospace; }
pre { background: #f2f2f2; padding: 0.75rem; overflow-x: auto; }
table { border-collapse: collapse; }
th, td { text-align: left; padding: 0.2rem 1rem 0.2rem 0; vertical-align: top; }
@media (prefers-color-scheme: dark) {
  body { background: #16181c; color: #e6e6e6; } pre { background: #24272d; } a { color: #8ab4f8; }
}
"""


def router(service: Service) -> APIRouter:
    """The page, and its style, since a page here may have none inside.

    Args:
        service: whose bundles stand in the examples.
    """
    routes = APIRouter(include_in_schema=False)

    @routes.get("/docs", response_class=HTMLResponse)
    def docs(request: Request) -> str:
        """Every route, with examples."""
        server, bundle = str(request.base_url).rstrip("/"), next(iter(service.bundles))
        openapi = request.app.openapi()
        return page(openapi, steps=STEPS.format(server=server, bundle=bundle))

    @routes.get("/docs/style.css")
    def style() -> Response:
        """How the page looks."""
        return Response(STYLE, media_type="text/css")

    return routes


def page(openapi: Mapping[str, Any], *, steps: str) -> str:
    """The page of an OpenAPI description.

    Args:
        openapi: as FastAPI has it.
        steps: what a client types, from an image to its mask.
    """
    parts = "".join(_routes(openapi))
    title = f"{openapi['info']['title']} {openapi['info']['version']}"
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        '<meta name="viewport" content="width=device-width"><link rel="stylesheet" '
        f'href="docs/style.css"></head><body><h1>{escape(title)}</h1><p>{escape(NOTICE)}</p>'
        f"<h2>From an image to its mask</h2><pre>{escape(steps)}</pre><p>With a token, add "
        "<code>-H &quot;Authorization: Bearer TOKEN&quot;</code>. The whole description for "
        'programs is <a href="openapi.json">openapi.json</a>.</p>'
        f"<h2>Routes</h2>{parts}</body></html>"
    )


def _routes(openapi: Mapping[str, Any]) -> Iterator[str]:
    schemas = openapi.get("components", {}).get("schemas", {})
    for path, item in openapi["paths"].items():
        for method in METHODS:
            if method in item:
                yield _route(method, path, item[method], schemas)


def _route(method: str, path: str, said: Mapping[str, Any], schemas: Mapping[str, Any]) -> str:
    words = escape(said.get("description") or said.get("summary", ""))
    parts = [f"<h3>{method.upper()} {escape(path)}</h3><p>{words}</p>"]
    rows = "".join(
        f"<tr><td><code>{escape(x['name'])}</code></td><td>{escape(x['in'])}</td>"
        f"<td>{escape(x.get('description', ''))}</td></tr>"
        for x in said.get("parameters", ())
    )
    if rows:
        parts.append(f"<table><tr><th>name</th><th>in</th><th>is</th></tr>{rows}</table>")
    if body := said.get("requestBody", {}).get("content", {}).get("application/json"):
        parts.append(_shown("takes", body.get("schema", {}), schemas))
    for status, answer in said.get("responses", {}).items():
        content = answer.get("content", {}).get("application/json")
        if content and status.startswith("2") and content.get("schema"):
            parts.append(_shown("gives", content["schema"], schemas))
    return "".join(parts)


def _shown(word: str, schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> str:
    text = json.dumps(example(schema, schemas), indent=2, ensure_ascii=False)
    return f"<p>{word}</p><pre>{escape(text)}</pre>"


def example(schema: Mapping[str, Any], schemas: Mapping[str, Any], deep: int = 0) -> Any:
    """A value of a schema, of the examples in it where there are any.

    Args:
        schema: of OpenAPI.
        schemas: name to schema, of what is referred to.
        deep: how many objects it lies in.

    Example:
        >>> example({"type": "array", "items": {"examples": [3]}}, {})
        [3]
    """
    if examples := schema.get("examples"):
        return examples[0]
    if reference := schema.get("$ref"):
        return example(schemas.get(reference.rpartition("/")[2], {}), schemas, deep)
    if several := schema.get("anyOf"):
        return example(several[0], schemas, deep)
    if "default" in schema:
        return schema["default"]
    kind = schema.get("type")
    if kind == "array":
        return [example(schema.get("items", {}), schemas, deep)] if deep < DEEPEST else []
    if kind == "object":
        inside = schema.get("properties", {}) if deep < DEEPEST else {}
        return {name: example(part, schemas, deep + 1) for name, part in inside.items()}
    return {"integer": 0, "number": 0.0, "boolean": False, "string": "..."}.get(str(kind))
