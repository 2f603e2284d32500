/**
 * All that the page knows of the document. There is no way in it to turn text into markup: what the federation's
 * members write comes to the screen as text and as nothing else.
 */
export interface PageElement {
  textContent: string | null
  hidden: boolean
  value: string
  append(...children: (PageElement | string)[]): void
  replaceChildren(...children: (PageElement | string)[]): void
  setAttribute(name: string, value: string): void
  addEventListener(type: string, listener: (event: { preventDefault(): void }) => void): void
  focus(): void
}

/** The document, as far as that. */
export interface PageDocument {
  createElement(tag: string): PageElement
  getElementById(id: string): PageElement | null
}

export type Child = PageElement | string

/** The page's way to make elements. See script.ts for why all of it stands within one function. */
export function createDom(document: PageDocument) {
  /** A new element; children that are text stay text. */
  function el(
    tag: string,
    attributes: Readonly<Record<string, string>>,
    ...children: readonly Child[]
  ): PageElement {
    const element = document.createElement(tag)
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value)
    element.append(...children)
    return element
  }

  /** An element that the page has from the start. */
  function byId(id: string): PageElement {
    const element = document.getElementById(id)
    if (element === null) throw new Error(`the page has no element ${id}`)
    return element
  }

  /** A table that scrolls within itself where the screen is narrow. */
  function table(caption: string, head: readonly string[], rows: readonly (readonly Child[])[]): PageElement {
    const header = el('tr', {}, ...head.map((text) => el('th', { scope: 'col' }, text)))
    const body = rows.map((cells) => el('tr', {}, ...cells.map((cell) => el('td', {}, cell))))
    const grid = el(
      'table',
      {},
      el('caption', {}, caption),
      el('thead', {}, header),
      el('tbody', {}, ...body),
    )
    return el('div', { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': caption }, grid)
  }

  /** The beginning of an id, the whole of it where the pointer rests. */
  function shortId(id: string | null | undefined, length = 10): Child {
    return id == null || id === '' ? '–' : el('code', { title: id }, id.slice(0, length))
  }

  /** A state in words with a mark beside it, so that colour is never all there is. */
  function mark(kind: 'good' | 'bad' | 'busy' | 'idle', text: string): PageElement {
    const sign = { good: '✓', bad: '✗', busy: '…', idle: '○' }[kind]
    return el('span', { class: `mark ${kind}` }, el('span', { 'aria-hidden': 'true' }, `${sign} `), text)
  }

  function when(timeMs: number | undefined): string {
    return timeMs === undefined ? '–' : new Date(timeMs).toLocaleString()
  }

  return { el, byId, table, shortId, mark, when }
}

export type Dom = ReturnType<typeof createDom>
