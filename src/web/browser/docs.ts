import type { CreateApi } from './api.ts'
import type { Child, Dom, PageElement } from './dom.ts'

/** As much of an OpenAPI document as the page shows. */
export interface ApiDocument {
  readonly info: { readonly title: string; readonly version: string; readonly description?: string }
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>
  readonly components?: { readonly schemas?: Readonly<Record<string, unknown>> }
}

export interface Operation {
  readonly summary?: string
  readonly security?: readonly Readonly<Record<string, readonly string[]>>[]
  readonly parameters?: readonly Parameter[]
  readonly requestBody?: { readonly content: Content }
  readonly responses: Readonly<Record<string, { readonly description: string; readonly content?: Content }>>
}

interface Parameter {
  readonly name: string
  readonly in: string
  readonly required?: boolean
  readonly description?: string
  readonly schema?: unknown
}

type Content = Readonly<Record<string, { readonly schema?: unknown }>>

export interface DocsParts {
  readonly dom: Dom
  readonly createApi: CreateApi
  readonly session: {
    getItem(key: string): string | null
    setItem(key: string, value: string): void
  }
}

/** Asks for the token where the tab has none, and shows the description of the API that the node itself serves. */
export function startDocs({ dom, createApi, session }: DocsParts): void {
  const TOKEN_KEY = 'mao-token'
  const { el, byId, table } = dom

  function say(text: string): void {
    byId('status').textContent = text
  }

  /** The least scope that opens the operation. */
  function scopeOf({ security }: Operation): string {
    const [door] = security ?? []
    return door === undefined ? 'no token' : (door.token?.[0] ?? 'any token')
  }

  function code(value: unknown): PageElement {
    return el('pre', {}, el('code', {}, JSON.stringify(value, null, 2) ?? ''))
  }

  function nameOf(schema: unknown): string {
    const { $ref, type } = (schema ?? {}) as { $ref?: string; type?: string | string[] }
    return $ref === undefined ? String(type ?? 'any') : ($ref.split('/').pop() ?? '')
  }

  function contents(title: string, content: Content | undefined): Child[] {
    return Object.entries(content ?? {}).flatMap(([type, { schema }]) => {
      const heading = el('p', { class: 'nothing' }, `${title}, ${type}`)
      return [heading, ...(schema === undefined ? [] : [code(schema)])]
    })
  }

  function operationView(method: string, path: string, operation: Operation): PageElement {
    const { summary = '', parameters = [], requestBody, responses } = operation
    const rows = parameters.map(({ name, in: place, required, schema, description }): Child[] => {
      return [el('code', {}, name), place, required ? 'yes' : 'no', nameOf(schema), description ?? '']
    })
    const head = ['name', 'in', 'needed', 'type', 'meaning']
    return el(
      'details',
      { id: `${method}-${path}` },
      el(
        'summary',
        {},
        el('code', {}, `${method.toUpperCase()} ${path}`),
        ` ${summary} · ${scopeOf(operation)}`,
      ),
      ...(rows.length === 0 ? [] : [table('Parameters', head, rows)]),
      ...contents('Body', requestBody?.content),
      ...Object.entries(responses).flatMap(([status, { description, content }]) =>
        contents(`${status}: ${description}`, content),
      ),
    )
  }

  /** Routes of the API by their noun; of the others, those that belong together. */
  function groupOf(path: string): string {
    const [, first = '', second = '', third = ''] = path.split('/')
    if (first === 'api' && second === 'v1') return third
    if (['healthz', 'readyz', 'metrics'].includes(first)) return 'health'
    return ['hub', 'git'].includes(first) ? first : "The predecessor's routes"
  }

  function show(document: ApiDocument): void {
    const { info, paths, components } = document
    const groups = new Map<string, PageElement[]>()
    for (const [path, operations] of Object.entries(paths)) {
      const noun = groupOf(path)
      const group = groups.get(noun) ?? []
      groups.set(noun, group)
      for (const [method, operation] of Object.entries(operations))
        group.push(operationView(method, path, operation))
    }
    const sections = [...groups].map(([noun, views]) => el('section', {}, el('h2', {}, noun), ...views))
    const schemas = Object.entries(components?.schemas ?? {}).map(([name, schema]) => {
      return el('details', { id: `schema-${name}` }, el('summary', {}, el('code', {}, name)), code(schema))
    })
    byId('reference').replaceChildren(
      el('p', {}, info.description ?? ''),
      ...sections,
      el('section', {}, el('h2', {}, 'Schemas'), ...schemas),
    )
    byId('reference').hidden = false
    say(`${info.title}, version ${info.version}`)
  }

  async function enter(token: string): Promise<void> {
    say('Asking the node…')
    try {
      show(await createApi(token).get<ApiDocument>('/openapi.json'))
      session.setItem(TOKEN_KEY, token)
      byId('sign-in').hidden = true
    } catch (error) {
      byId('sign-in').hidden = false
      say(error instanceof Error ? error.message : String(error))
    }
  }

  byId('sign-in').addEventListener('submit', (event) => {
    event.preventDefault()
    const token = byId('token').value.trim()
    byId('token').value = ''
    if (token !== '') void enter(token)
  })

  const remembered = session.getItem(TOKEN_KEY)
  if (remembered === null) byId('sign-in').hidden = false
  else void enter(remembered)
}
