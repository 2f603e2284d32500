/** The compose file of one node, for who prefers a container (compose-spec.io). Pure. */
import { stringify } from 'yaml'

export interface ComposeParts {
  readonly name: string
  readonly data: string
  readonly listen: readonly string[]
  readonly apiPort: number
  readonly socketPath: string
  /** Whose the data are, and the group of the Docker socket; undefined where the system does not tell. */
  readonly ids: { readonly user: number; readonly group: number; readonly docker: number } | undefined
  /** Where docker/Dockerfile is found, to build the image from; undefined where this program came without it. */
  readonly source: string | undefined
}

export const NODE_IMAGE = 'mao-node'

const HEAD = `# One MAO node in a container; "maoctl instance install" wrote it. In this directory:
#
#   docker compose up --detach        starts it, and builds the image where it is missing
#   docker compose logs --follow      what it says
#
# The node drives the machine's own engine, beside which it runs. So the engine's socket is in the container (whoever
# holds it owns the machine: the tools that the node starts never see it), and the data directory has one path inside
# and outside, since the engine looks there for what the node tells it to bind.
`

export function composeText(parts: ComposeParts): string {
  const { name, data, listen, apiPort, socketPath, ids, source } = parts
  const healthy = `fetch('http://127.0.0.1:${apiPort}/healthz').then((answer) => process.exit(answer.ok ? 0 : 1), () => process.exit(1))`
  // compose fills in what follows a dollar, here and in the environment.
  const plain = (text: string) => text.replaceAll('$', '$$$$')
  const node = {
    image: NODE_IMAGE,
    ...(source === undefined ? {} : { build: { context: plain(source), dockerfile: 'docker/Dockerfile' } }),
    container_name: `mao-${name}`,
    restart: 'unless-stopped',
    stop_grace_period: '45s',
    // The node's own addresses are the machine's: what it tells others is where they find it, and the API stays on loopback.
    network_mode: 'host',
    ...(ids === undefined ? {} : { user: `${ids.user}:${ids.group}`, group_add: [String(ids.docker)] }),
    // The image sets these for a container with a network of its own.
    environment: {
      MAO_DATA: plain(data),
      MAO_LISTEN: listen.join(','),
      MAO_API_HOST: '127.0.0.1',
      MAO_API_PORT: String(apiPort),
    },
    volumes: [bind(plain(data)), bind(plain(socketPath))],
    security_opt: ['no-new-privileges:true'],
    cap_drop: ['ALL'],
    healthcheck: {
      test: ['CMD', 'node', '-e', healthy],
      interval: '10s',
      timeout: '5s',
      start_period: '20s',
    },
  }
  // Readers of YAML 1.1 take 1000:998 for a number unless it is quoted.
  return `${HEAD}${stringify({ services: { node } }, { lineWidth: 0, version: '1.1' })}`
}

/** The long form, in which a path may hold a colon. */
function bind(path: string) {
  return { type: 'bind', source: path, target: path }
}
