/**
 * The node's own page and what belongs to it, served without a token: nothing here is the node's state, which the page
 * asks the API for with the token that the reader gives it.
 */
import { type Context, Hono, type Next } from 'hono'
import { SCRIPT } from './script.ts'
import { STYLE } from './style.ts'

/** Scripts, styles and questions go to this node alone, nothing is inlined, and no other page may frame this one. */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "connect-src 'self'",
  'img-src data:',
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ')

export const PAGE_HEADERS = {
  'content-security-policy': POLICY,
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cache-control': 'no-cache',
} as const

export const SCRIPT_TYPE = 'text/javascript; charset=utf-8'

export const PAGE = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>MAO node</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/web/style.css">
<script type="module" src="/web/app.js"></script>
</head>
<body>
<header>
<h1>MAO node <span id="node"></span></h1>
<p id="status" role="status"></p>
<p><a href="/docs">API</a></p>
<button id="sign-out" type="button" hidden>Sign out</button>
</header>
<noscript><p>This page needs JavaScript; maoctl shows the same without it.</p></noscript>
<form id="sign-in" hidden>
<label for="token">Token of this node</label>
<input id="token" type="password" autocomplete="off" spellcheck="false" required aria-describedby="token-hint">
<p id="token-hint">It stands in the file <code>api-token</code> of the node's data directory.</p>
<button type="submit">Show the node</button>
</form>
<main id="rooms" hidden>
<section aria-labelledby="federation-title"><h2 id="federation-title">Federation</h2><div id="federation"></div></section>
<section aria-labelledby="presence-title"><h2 id="presence-title">Who is there</h2><div id="presence"></div></section>
<section aria-labelledby="requests-title"><h2 id="requests-title">Who asks to be admitted</h2><div id="requests"></div></section>
<section aria-labelledby="datasets-title"><h2 id="datasets-title">Datasets</h2><div id="datasets"></div></section>
<section aria-labelledby="runs-title"><h2 id="runs-title">Runs</h2><div id="runs"></div></section>
<section aria-labelledby="schedules-title"><h2 id="schedules-title">Schedules</h2><div id="schedules"></div></section>
<section aria-labelledby="ballots-title"><h2 id="ballots-title">Ballots to cast</h2><div id="ballots"></div></section>
<section aria-labelledby="rounds-title"><h2 id="rounds-title">Votes</h2><div id="rounds"></div></section>
<section aria-labelledby="market-title"><h2 id="market-title">Marketplace</h2><div id="market"></div></section>
</main>
</body>
</html>
`

/**
 * `GET /` for whoever wants a page (others are passed on to the next route), and its script and style below `/web/`.
 */
export function page(): Hono {
  const routes = new Hono()
  routes.get('/', async (c: Context, next: Next) => {
    if (!(c.req.header('accept') ?? '').includes('text/html')) return next()
    return c.body(PAGE, 200, { ...PAGE_HEADERS, 'content-type': 'text/html; charset=utf-8', vary: 'Accept' })
  })
  routes.get('/web/style.css', (c) => {
    return c.body(STYLE, 200, { ...PAGE_HEADERS, 'content-type': 'text/css; charset=utf-8' })
  })
  routes.get('/web/app.js', (c) => c.body(SCRIPT, 200, { ...PAGE_HEADERS, 'content-type': SCRIPT_TYPE }))
  return routes
}
