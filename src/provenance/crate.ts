/** A thing that the crate speaks of. */
export interface Entity {
  readonly '@id': string
  readonly '@type': string | readonly string[]
  readonly [property: string]: unknown
}

/** The contents of a `ro-crate-metadata.json`. */
export interface Crate {
  readonly '@context': readonly string[]
  readonly '@graph': readonly Entity[]
}

export interface Reference {
  readonly '@id': string
}

/** Every entity once, whoever refers to it. */
export class Graph {
  readonly #entities = new Map<string, Entity>()
  readonly data: Reference[] = []

  /** What is said of a thing in several places is gathered; the latest word on one property counts. */
  add(entity: Entity): Reference {
    const id = entity['@id']
    this.#entities.set(id, { ...this.#entities.get(id), ...entity })
    return { '@id': entity['@id'] }
  }

  get(id: string): Entity | undefined {
    return this.#entities.get(id)
  }

  /** Data of the crate, which its root lists as parts. */
  addData(entity: Entity): Reference {
    const known = this.#entities.has(entity['@id'])
    const reference = this.add(entity)
    if (!known) this.data.push(reference)
    return reference
  }

  entities(): Entity[] {
    return [...this.#entities.values()]
  }
}
