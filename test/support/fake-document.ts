import type { PageDocument, PageElement } from '../../src/web/browser/dom.ts'

/**
 * A document that keeps what is put into it, for running the page without a browser. It parses nothing, so text is text
 * here whatever it holds; that nothing else is asked of a real one is what the page's own types say.
 */
export class FakeElement implements PageElement {
  readonly tag: string
  readonly attributes: Record<string, string> = {}
  hidden = false
  value = ''
  #children: (PageElement | string)[] = []
  readonly #listeners: Record<string, (event: { preventDefault(): void }) => void> = {}

  constructor(tag: string) {
    this.tag = tag
  }

  get textContent(): string {
    return this.#children.map((child) => (typeof child === 'string' ? child : child.textContent)).join('')
  }

  set textContent(text: string) {
    this.#children = [text]
  }

  /** This element and all below it. */
  *all(): Generator<FakeElement> {
    yield this
    for (const child of this.#children) if (child instanceof FakeElement) yield* child.all()
  }

  append(...children: (PageElement | string)[]): void {
    this.#children.push(...children)
  }

  replaceChildren(...children: (PageElement | string)[]): void {
    this.#children = children
  }

  setAttribute(name: string, value: string): void {
    this.attributes[name] = value
  }

  addEventListener(type: string, listener: (event: { preventDefault(): void }) => void): void {
    this.#listeners[type] = listener
  }

  focus(): void {
    this.attributes.focused = 'yes'
  }

  fire(type: string): void {
    this.#listeners[type]?.({ preventDefault: () => undefined })
  }
}

/** A document with the elements of `html` that have an id. */
export class FakeDocument implements PageDocument {
  readonly #byId = new Map<string, FakeElement>()

  constructor(html: string) {
    for (const [, tag = '', id = ''] of html.matchAll(/<(\w+)[^>]* id="([^"]+)"/g)) {
      this.#byId.set(id, new FakeElement(tag))
    }
  }

  createElement(tag: string): FakeElement {
    return new FakeElement(tag)
  }

  getElementById(id: string): FakeElement | null {
    return this.#byId.get(id) ?? null
  }

  at(id: string): FakeElement {
    const element = this.getElementById(id)
    if (element === null) throw new Error(`the page has no element ${id}`)
    return element
  }
}
