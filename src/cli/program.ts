import { Command, CommanderError } from 'commander'
import { messageOf, NodeError } from '../base/errors.ts'
import { auditHabit } from './audit.ts'
import { completionCommands } from './completion.ts'
import { datasetCommands } from './dataset.ts'
import { doctorCommands } from './doctor.ts'
import { engineCommands } from './engine.ts'
import { eventCommands } from './events.ts'
import { EXIT, EXIT_OF } from './exit-codes.ts'
import { federationCommands } from './federation.ts'
import type { Globals } from './globals.ts'
import { helpCommands } from './help.ts'
import { imageCommands } from './image.ts'
import { insightCommands } from './insight.ts'
import { instanceCommands } from './instance.ts'
import { marketCommands } from './market.ts'
import { notificationCommands } from './notification.ts'
import { offerCommands } from './offer.ts'
import { peerCommands } from './peers.ts'
import { pipelineCommands } from './pipeline.ts'
import { presenceCommands } from './presence.ts'
import { profileCommands } from './profile.ts'
import { publicationCommands } from './publication.ts'
import { registryCommands } from './registry.ts'
import { reliabilityCommands } from './reliability.ts'
import { repoCommands } from './repo.ts'
import { roundCommands } from './round.ts'
import { runCommands } from './run.ts'
import { scheduleCommands } from './schedule.ts'
import { secretCommands } from './secret.ts'
import { type Act, Session, type Terminal } from './session.ts'
import { statusCommands } from './status.ts'
import { tokenCommands } from './token.ts'
import { toolCommands } from './tool.ts'
import { version } from './version.ts'
import { voteCommands } from './vote.ts'

const AFTER_HELP = `
The node is the one of --url or --data, else of --profile, else of MAO_URL, MAO_PROFILE or MAO_DATA, else of the default
profile ("maoctl profile use"), else the one that runs on ~/.mao. More: maoctl help exit-codes | environment.`

/** Runs one command line. @returns what the process ends with. */
export async function runCommandLine(words: readonly string[], terminal: Terminal): Promise<number> {
  let session = new Session(terminal, {
    json: words.includes('--json'),
    quiet: words.includes('--quiet') || words.includes('-q'),
  })
  const act: Act = <A extends unknown[]>(action: (session: Session, ...parameters: A) => Promise<void>) => {
    return async (...parameters) => {
      // commander hands over the declared arguments, the options, and the command itself.
      const command = parameters.pop() as Command
      session = new Session(terminal, command.optsWithGlobals<Globals>())
      await action(session, ...(parameters as A))
    }
  }
  const program = commandTree(terminal, act)
  try {
    await program.parseAsync(words, { from: 'user' })
    return session.exitCode
  } catch (error) {
    return fail(session, error)
  }
}

/** Every command there is; help, completion and a test are made from this very tree. */
export function commandTree(terminal: Terminal, act: Act): Command {
  const program = new Command('maoctl')
    .description('A node with which research groups run the same experiments and agree on what the data say')
    .version(version())
    .option('--json', 'tell the result as JSON, alone on standard output')
    .option('-q, --quiet', 'tell the result in its shortest form, names or ids, and nothing else but errors')
    .option('--yes', 'answer yes to every question')
    .option('--data <dir>', 'data directory of the node')
    .option('--profile <name>', 'a remote node by its name ("maoctl profile add"); or MAO_PROFILE')
    .option('--url <url>', 'address of the node, such as http://127.0.0.1:8080')
    .option(
      '--token <token>',
      'token of the node (better: MAO_TOKEN, which others on the machine do not see)',
    )
    .addHelpText('after', AFTER_HELP)
  instanceCommands(program, act)
  federationCommands(program, act)
  datasetCommands(program, act)
  repoCommands(program, act)
  engineCommands(program, act)
  toolCommands(program, act)
  imageCommands(program, act)
  pipelineCommands(program, act)
  scheduleCommands(program, act)
  runCommands(program, act)
  offerCommands(program, act)
  insightCommands(program, act)
  publicationCommands(program, act)
  secretCommands(program, act)
  roundCommands(program, act)
  voteCommands(program, act)
  reliabilityCommands(program, act)
  auditHabit(program, act)
  marketCommands(program, act)
  registryCommands(program, act)
  notificationCommands(program, act)
  peerCommands(program, act)
  tokenCommands(program, act)
  presenceCommands(program, act)
  eventCommands(program, act)
  profileCommands(program, act)
  statusCommands(program, act)
  doctorCommands(program, act)
  completionCommands(program, act)
  helpCommands(program, act)
  for (const command of [program, ...descendants(program)]) {
    command
      .exitOverride((error) => refuse(command, error))
      .configureOutput({
        writeOut: (text) => terminal.stdout.write(text),
        // Help that was not asked for is for people; usage errors are told below, in the way of all errors.
        writeErr: (text) => terminal.stderr.write(text),
        outputError: () => undefined,
      })
  }
  return program
}

function descendants(command: Command): Command[] {
  return command.commands.flatMap((child) => [child, ...descendants(child)])
}

/** What commander does not accept, with the help that says how it is written. */
function refuse(command: Command, error: CommanderError): never {
  if (error.exitCode === 0 || error.code === 'commander.help') throw error
  const sentence = error.message.replace(/^error: /, '').replace(/\n\(?(.*?)\)?$/s, '; $1')
  const path = []
  for (let at: Command | null = command; at !== null; at = at.parent) path.unshift(at.name())
  const help = `"${path.join(' ')} --help" tells how it is written`
  throw new NodeError('INVALID_INPUT', `${sentence.replace(/\.$/, '')}; ${help}`)
}

function fail(session: Session, error: unknown): number {
  // Help and version are ends, not errors; a noun without a verb has shown its help already.
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.OK : EXIT.INPUT
  const known = error instanceof NodeError ? error : new NodeError('INTERNAL', messageOf(error))
  session.out.failure(known)
  // A defect of this program is told with its stack, for whoever is to mend it; the node keeps its own in its log.
  if (known !== error && error instanceof Error && !session.out.json) session.out.stderr(error.stack ?? '')
  return EXIT_OF[known.code]
}
