import type { Command } from 'commander'
import { NodeError } from '../base/errors.ts'
import { loadConfig } from '../config.ts'
import { findNode } from './client.ts'
import { countText } from './output.ts'
import type { Act, Session } from './session.ts'

/** `maoctl instance rotate-key`: a new key for the node on this machine, which is stopped for it. */
export function rotateKeyCommand(instance: Command, act: Act): void {
  instance
    .command('rotate-key')
    .description('give this node, which must be stopped, a new key; members carry its place over')
    .option('--config <file>', 'settings; default: config.yaml in the data directory, where it is')
    .addHelpText(
      'after',
      '\nThe old key is of no use to anybody afterwards. Name, role, datasets, secrets and tokens stay; the peer id, the\naddresses that end in it and the keys by which receivers check notifications are new.',
    )
    .action(act(rotate))
}

async function rotate(session: Session, { config: file }: { config?: string }): Promise<void> {
  const { environment } = session.terminal
  const { data } = session.globals
  const flags = data === undefined ? {} : { dataDirectory: data }
  const { dataDirectory } = await loadConfig({ environment, flags, ...(file === undefined ? {} : { file }) })
  await refuseRunning(dataDirectory)
  await session.confirm(`Replace the key of the node in ${dataDirectory}? There is no way back.`)
  // Loaded here alone, so that every other command stays quick.
  const { rotateKey } = await import('../key-rotation.ts')
  const rotated = await rotateKey(dataDirectory)
  session.out.result(rotated, () => {
    const { from, to, federation, resealed } = rotated
    const members =
      federation === undefined
        ? ''
        : ` The members of ${federation} are told as soon as the node runs: start it while one of them is there.`
    const carried =
      resealed === 0 ? '' : ` ${countText(resealed, 'sealed value goes', 'sealed values go')} with it.`
    return `This node is ${to} now, and ${from} no more.${carried}${members}`
  })
}

/** Before anything is asked; that nobody starts it meanwhile the work itself makes sure of. @throws NodeError DATA_IN_USE */
async function refuseRunning(dataDirectory: string): Promise<void> {
  const isRunning = await findNode({ data: dataDirectory }).then(
    () => true,
    () => false,
  )
  if (!isRunning) return
  throw new NodeError('DATA_IN_USE', `The node of ${dataDirectory} runs; stop it first, and type this again`)
}
