/** What an earlier installation says, as the defaults of the questions of the next. Pure. */
import { parse } from 'yaml'
import { z } from 'zod'
import { API_PORT_DEFAULT, ETCD_PORT_DEFAULT, EVERYWHERE, LISTEN_PORT_DEFAULT } from './answers.ts'

const port = z.int().min(0).max(65_535)

/** Read generously: a person may have written anything there, and the node itself says what is wrong with it. */
const beforeSchema = z.looseObject({
  name: z.string().optional().catch(undefined),
  listen: z.array(z.string()).default([]).catch([]),
  announce: z.array(z.string()).default([]).catch([]),
  bootstrap: z.array(z.string()).default([]).catch([]),
  api: z
    .looseObject({ port: port.default(API_PORT_DEFAULT) })
    .prefault({})
    .catch({ port: API_PORT_DEFAULT }),
  etcd: z
    .looseObject({ port: port.default(ETCD_PORT_DEFAULT) })
    .prefault({})
    .catch({ port: ETCD_PORT_DEFAULT }),
  datasets: z
    .looseObject({
      author: z.looseObject({ name: z.string().default(''), email: z.string().default('') }).prefault({}),
    })
    .prefault({})
    .catch({ author: { name: '', email: '' } }),
})

export interface Before {
  /** Whether there was an earlier installation. */
  readonly isThere: boolean
  readonly name: string | undefined
  readonly listenHost: string
  readonly listenPort: number
  readonly announce: string | undefined
  readonly bootstrap: readonly string[]
  readonly apiPort: number
  readonly etcdPort: number
  readonly author: { readonly name: string; readonly email: string }
}

/** @param text of `config.yaml`, where it is there. */
export function beforeIn(text: string | undefined): Before {
  const parsed = beforeSchema.safeParse(read(text))
  const said = parsed.success ? parsed.data : beforeSchema.parse({})
  const [, host = EVERYWHERE, listenPort = ''] =
    /^\/ip4\/([^/]+)\/tcp\/(\d+)$/.exec(said.listen[0] ?? '') ?? []
  return {
    isThere: text !== undefined,
    name: said.name,
    listenHost: host,
    listenPort: listenPort === '' ? LISTEN_PORT_DEFAULT : Number(listenPort),
    announce: said.announce[0],
    bootstrap: said.bootstrap,
    apiPort: said.api.port,
    etcdPort: said.etcd.port,
    author: { name: said.datasets.author.name, email: said.datasets.author.email },
  }
}

/** What is no YAML is told where the new settings are made of it (config-text.ts). */
function read(text: string | undefined): unknown {
  try {
    return parse(text ?? '{}') ?? {}
  } catch {
    return {}
  }
}
