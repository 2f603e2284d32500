/** The reference of the API as a page: it needs nothing but this node, and shows what the node itself says of its routes. */
import { Hono } from 'hono'
import { createApi } from './browser/api.ts'
import { startDocs } from './browser/docs.ts'
import { createDom } from './browser/dom.ts'
import { PAGE_HEADERS, SCRIPT_TYPE } from './page.ts'

/** See script.ts. */
export const DOCS_SCRIPT = `'use strict'
const dom = (${createDom})(document)
const createApi = ${createApi}
const startDocs = ${startDocs}
startDocs({ dom, createApi, session: sessionStorage })
`

export const DOCS_PAGE = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>API of the MAO node</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/web/style.css">
<script type="module" src="/web/docs.js"></script>
</head>
<body>
<header>
<h1>API of the MAO node</h1>
<p id="status" role="status"></p>
</header>
<noscript><p>This page needs JavaScript; /api/v1/openapi.json says the same without it.</p></noscript>
<form id="sign-in" hidden>
<label for="token">Token of this node</label>
<input id="token" type="password" autocomplete="off" spellcheck="false" required aria-describedby="token-hint">
<p id="token-hint">Any token will do, also an observer's.</p>
<button type="submit">Show the reference</button>
</form>
<main id="reference" hidden></main>
</body>
</html>
`

/** `GET /docs` and its script. */
export function docsPage(): Hono {
  const routes = new Hono()
  routes.get('/docs', (c) => {
    return c.body(DOCS_PAGE, 200, { ...PAGE_HEADERS, 'content-type': 'text/html; charset=utf-8' })
  })
  routes.get('/web/docs.js', (c) =>
    c.body(DOCS_SCRIPT, 200, { ...PAGE_HEADERS, 'content-type': SCRIPT_TYPE }),
  )
  return routes
}
