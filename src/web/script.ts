import { createApi } from './browser/api.ts'
import { startPage } from './browser/app.ts'
import { createDom } from './browser/dom.ts'
import { createViews } from './browser/views.ts'
import { createFederationViews } from './browser/views-federation.ts'
import { createVotingViews } from './browser/views-voting.ts'

/**
 * The page's script, made of the functions in browser/ as the engine has them: without types, whether this program was
 * compiled or runs from its sources. So the page is checked and tested like the rest and needs no build of its own. The
 * price is that each of these functions uses nothing but its parameters and what every browser has.
 */
export const SCRIPT = `'use strict'
const dom = (${createDom})(document)
const views = { ...(${createViews})(dom), ...(${createFederationViews})(dom), ...(${createVotingViews})(dom) }
const createApi = ${createApi}
const startPage = ${startPage}
startPage({ dom, views, createApi, session: sessionStorage })
`
