import type { Command } from 'commander'
import { z } from 'zod'
import { type EngineView, engineViewSchema } from '../api/engine-routes.ts'
import { NodeError } from '../base/errors.ts'
import { bytesText, type Pair } from './output.ts'
import type { Act } from './session.ts'

export function engineCommands(program: Command, act: Act): void {
  const engine = program.command('engine').description('the container engines on which steps run')

  engine
    .command('list')
    .description('list them, with what runs may take of their machines')
    .action(
      act(async (session) => {
        const client = await session.connect()
        const engines = await client.get('/engines', z.array(engineViewSchema))
        session.out.result(engines, () => {
          return session.out.table(
            ['engine', 'state', 'kind', 'cpus', 'memory', 'gpus', 'files', 'bridge'],
            engines.map(rowOf),
          )
        })
        for (const { id, problem, note } of engines) {
          const word = problem ?? note
          if (word !== undefined) session.out.note(`${id}: ${word}`)
        }
      }),
    )

  engine
    .command('show')
    .argument('<engine>')
    .description('look at one engine now')
    .action(
      act(async (session, id: string) => {
        const client = await session.connect()
        const found = await client.get(`/engines/${encodeURIComponent(id)}`, engineViewSchema)
        session.out.result(found, () => session.out.pairs(pairsOf(found)))
      }),
    )

  engine
    .command('guard')
    .argument('<engine>')
    .description(
      'print the rules that keep bridged steps from their neighbours, for an engine on which the node cannot set them',
    )
    .action(
      act(async (session, id: string) => {
        const client = await session.connect()
        const found = await client.get(`/engines/${encodeURIComponent(id)}`, engineViewSchema)
        const { network, problem } = found
        if (network === undefined) throw new NodeError('ENGINE_UNAVAILABLE', problem ?? `${id} is not up`)
        const commands = network.commands ?? []
        session.out.result({ bridge: network.bridge, commands }, () => commands.join('\n'))
        session.out.note(adviceOf(found))
      }),
    )
}

function adviceOf({ id, network }: EngineView): string {
  switch (network?.bridge) {
    case 'vouched':
      return `You vouch for the rules of ${id} already (docker.engines.${id}.networkGuarded).`
    case 'refused':
      return `Run these as root on the machine of ${id}, at each start of it, then set docker.engines.${id}.networkGuarded: true.`
    default:
      return `The node sets the rules of ${id} itself.`
  }
}

function rowOf(engine: EngineView): string[] {
  const { id, up, kind = '', cpus, memoryBytes, gpus, sharesFiles, network, machines = 1 } = engine
  if (!up) return [id, 'down', '', '', '', '', '', '']
  const what = machines > 1 ? `${kind} (${machines} machines)` : kind
  const files = sharesFiles === true ? 'shared' : 'carried'
  return [id, 'up', what, String(cpus), bytesText(memoryBytes), gpus.join(' '), files, network?.bridge ?? '']
}

function pairsOf(engine: EngineView): Pair[] {
  const { version, network, note, problem, labels = {}, diskBytes } = engine
  const [, state = '', kind = '', cpus = '', memory = '', gpus = '', files = '', bridge = ''] = rowOf(engine)
  const pairs: Pair[] = [
    ['engine', engine.id],
    ['state', problem === undefined ? state : `${state}: ${problem}`],
    ['kind', kind],
    ['version', version ?? ''],
    ['cpus', cpus],
    ['memory', memory],
    ['disk', bytesText(diskBytes)],
    ['gpus', gpus],
    ['files', files],
    ['bridge', network?.why === undefined ? bridge : `${bridge}: ${network.why}`],
    [
      'labels',
      Object.entries(labels)
        .map(([name, value]) => `${name}=${value}`)
        .join(' '),
    ],
    ['note', note ?? ''],
  ]
  return pairs.filter(([, value]) => value !== '')
}
