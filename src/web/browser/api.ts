/** One server-sent event. */
export interface ServerEvent {
  readonly type: string
  readonly data: string
}

/** The questions that the page asks its node. */
export function createApi(token: string) {
  /** The node may have to bring what it is asked to cast. */
  const CAST_TIMEOUT_MS = 90_000

  /** @throws Error whose `status` is that of the node's answer, or TypeError when there was none. */
  async function ask(path: string, signal: AbortSignal, said?: object): Promise<Response> {
    const authorization = `Bearer ${token}`
    const sent =
      said === undefined
        ? { headers: { authorization } }
        : {
            method: 'POST',
            headers: { authorization, 'content-type': 'application/json' },
            body: JSON.stringify(said),
          }
    const response = await fetch(`/api/v1${path}`, { ...sent, signal, cache: 'no-store' })
    if (response.ok) return response
    // What refuses without a problem document, such as a proxy, is told by its status alone.
    const problem = (await response.json().catch(() => ({}))) as { detail?: string }
    const refusal = new Error(problem.detail ?? `The node answered ${response.status}`)
    throw Object.assign(refusal, { status: response.status })
  }

  async function get<T>(path: string): Promise<T> {
    const response = await ask(path, AbortSignal.timeout(30_000))
    return (await response.json()) as T
  }

  async function post<T>(path: string, value: object): Promise<T> {
    const response = await ask(path, AbortSignal.timeout(CAST_TIMEOUT_MS), value)
    return (await response.json()) as T
  }

  /** What happens on the node, until the stream ends or `signal` aborts. EventSource could not send the token. */
  async function* events(signal: AbortSignal): AsyncGenerator<ServerEvent> {
    const { body } = await ask('/events', signal)
    if (body !== null) yield* read(body)
  }

  /** Server-sent events (HTML Living Standard, §9.2) as far as this node writes them: `event` and `data` lines. */
  async function* read(stream: ReadableStream<Uint8Array>): AsyncGenerator<ServerEvent> {
    const reader = stream.getReader()
    const decoder = new TextDecoder()
    let rest = ''
    try {
      for (;;) {
        const { done, value } = await reader.read()
        if (done) return
        const blocks = (rest + decoder.decode(value, { stream: true })).split('\n\n')
        rest = blocks.pop() ?? ''
        for (const block of blocks) {
          const event = parse(block)
          if (event !== undefined) yield event
        }
      }
    } finally {
      await reader.cancel()
    }
  }

  /** A block without data, such as a heartbeat, is no event. */
  function parse(block: string): ServerEvent | undefined {
    const fields = block.split('\n').map((line) => /^(event|data): ?(.*)$/.exec(line))
    const data = fields.filter((field) => field?.[1] === 'data').map((field) => field?.[2] ?? '')
    if (data.length === 0) return undefined
    const type = fields.find((field) => field?.[1] === 'event')?.[2] ?? 'message'
    return { type, data: data.join('\n') }
  }

  return { get, post, events }
}

export type Api = ReturnType<typeof createApi>
export type CreateApi = typeof createApi
