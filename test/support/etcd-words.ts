import type { ICompare, IEvent, IKeyValue, IRequestOp } from 'etcd3'

/** The end of a range as etcd says "all from here on". */
export const TO_THE_END = Buffer.from([0])

export const bytes = (text: string) => Buffer.from(text)

/** The range of all keys that begin so. */
export function below(prefix: string): { key: Buffer; range_end: Buffer } {
  const end = Buffer.from(prefix)
  const last = end.length - 1
  end[last] = (end[last] as number) + 1
  return { key: Buffer.from(prefix), range_end: end }
}

/** Key-values as a reader sees them: `name=value`, without what all names of the story begin with. */
export function shown(keyValues: readonly IKeyValue[], prefix: string): string[] {
  return keyValues.map(({ key, value }) => `${nameOf(key, prefix)}=${value}`)
}

export function nameOf(key: Buffer, prefix: string): string {
  const text = String(key)
  return text.startsWith(prefix) ? text.slice(prefix.length) : text
}

/** Events as `Put name=value` or `Delete name`, with `was=value` where the event says what was before. */
export function told(events: readonly IEvent[], prefix: string): string[] {
  return events.map(({ type, kv, prev_kv }) => {
    const name = nameOf(kv.key, prefix)
    const now = type === 'Put' ? `Put ${name}=${kv.value}` : `Delete ${name}`
    return prev_kv ? `${now} was=${prev_kv.value}` : now
  })
}

/** The counters of a key: where it was created, where last changed, how often since, and its lease. */
export function counters(kv: IKeyValue | undefined) {
  if (kv === undefined) return undefined
  const { create_revision, mod_revision, version, lease } = kv
  return {
    created: Number(create_revision),
    modified: Number(mod_revision),
    version: Number(version),
    lease: String(lease),
  }
}

export const putOp = (key: Buffer, value: string): IRequestOp => ({
  request_put: { key, value: Buffer.from(value) },
})
export const rangeOp = (request: IRequestOp['request_range'] & object): IRequestOp => ({
  request_range: request,
})
export const deleteOp = (request: IRequestOp['request_delete_range'] & object): IRequestOp => ({
  request_delete_range: request,
})

type Comparison = Pick<ICompare, 'key'> & Omit<ICompare, 'result' | 'target' | 'key'>
/** `key` has this relation to what the last argument holds, in words of the message. */
export const compare = (
  target: ICompare['target'] & string,
  result: ICompare['result'] & string,
  rest: Comparison & { range_end?: Buffer; lease?: string },
): ICompare => ({ target, result, ...rest })
