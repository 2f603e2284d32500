/** `maoctl instance init`: picks pipelines of the federation and of the marketplace, and makes them run here. */
import { readFile } from 'node:fs/promises'
import { text } from 'node:stream/consumers'
import { type Command, Option } from 'commander'
import { NodeError } from '../../base/errors.ts'
import { gather } from '../arguments.ts'
import { Questions } from '../ask.ts'
import { reasonOf } from '../files.ts'
import { toolAuthor } from '../market-install.ts'
import { countText, timeText } from '../output.ts'
import type { Act, Session } from '../session.ts'
import { carryOut, type SetUp } from './carrying-out.ts'
import { type Decision, decide, type InitFlags } from './decisions.ts'
import { type Candidate, choiceLine, mark, missingText, namedBy, overview } from './overview.ts'
import { parseToldSecrets, valuesOf } from './told-secrets.ts'
import { meant } from './whose.ts'
import { lookAround } from './world.ts'

const AFTER_HELP = `
"this federation": the pipeline is registered, with all tools and datasets that it names; "this instance": it runs here by
itself, its secrets sealed. Everything is asked before anything is done. What a stranger lists is taken only from whom you
name, and --yes does not let it have what it asks for: "maoctl pipeline approve" does. Where nobody is there to answer:

  maoctl instance init --list
  maoctl instance init --pipeline observatory --cron '0 3 * * *' --yes
  maoctl --yes instance init --pipeline weather@12D3KooW… --secret API_KEY --no-schedule --share-names < key
  maoctl --yes instance init --pipeline a --pipeline b --secret TOKEN@/run/keys/token --cron '@daily'`

export function initCommand(instance: Command, act: Act): void {
  instance
    .command('init')
    .description('choose pipelines of the federation and the marketplace, and make them run here')
    .option('--list', 'only list them')
    .option(
      '--pipeline <name>',
      'one to set up; name@author where several list it, or a stranger (repeatable)',
      gather,
    )
    .option('--secret <variable>', 'its value is a line of standard input; or NAME@FILE (repeatable)', gather)
    .option('--cron <rule>', 'when they run, such as "0 3 * * *"')
    .option('--no-schedule', 'they run only when told to')
    .option('--timezone <zone>', 'of the rule, an IANA name; default: UTC')
    .option('--shared', 'make missing datasets for all members, rather than for this node alone')
    .option('--share-names', 'let all members read the names of datasets that stay on this node')
    .addOption(
      new Option(
        '--tool-author <tool=peer>',
        'whose tool, where several list it, and always for a stranger (repeatable)',
      ).argParser(toolAuthor),
    )
    .addHelpText('after', AFTER_HELP)
    .action(act(init))
}

async function init(session: Session, flags: InitFlags): Promise<void> {
  const client = await session.connect()
  const questions = new Questions(session)
  const seen = await lookAround(client, (flags.pipeline ?? []).map(nameIn))
  const candidates = overview(seen)
  if (flags.list === true) return list(session, candidates, seen.listed.tools)
  const chosen = await choose(session, questions, flags, candidates, seen.listed.tools)
  if (chosen.length === 0) throw new NodeError('CANCELLED', 'No pipeline was chosen; nothing was changed')
  if (!questions.areHeard && session.globals.yes !== true) {
    const message =
      'Nobody is there to agree to what these pipelines get; read "maoctl instance init --list" and add --yes'
    throw new NodeError('INVALID_INPUT', message, { flag: '--yes' })
  }
  const told = await toldSecrets(session, flags.secret ?? [])
  checkTold(told, chosen)
  const deciding = { session, questions, client, flags, seen, told }
  const decisions: Decision[] = []
  for (const candidate of chosen) decisions.push(await decide(deciding, candidate))
  const results: SetUp[] = []
  for (const decision of decisions) results.push(await carryOut({ session, questions, client }, decision))
  session.out.result(results, () => results.map(resultText).join('\n'))
}

function list(session: Session, candidates: readonly Candidate[], listedTools: readonly string[]): void {
  session.out.result(candidates, () => {
    const rows = candidates.map((each) => {
      const missing = missingText(each, listedTools)
      return [each.name, mark(each.inInstance), mark(each.inFederation), missing, each.from, each.description]
    })
    const head = ['pipeline', 'this instance', 'this federation', 'missing', 'from', 'description']
    return session.out.table(head, rows)
  })
}

async function choose(
  session: Session,
  questions: Questions,
  { pipeline: words }: InitFlags,
  candidates: readonly Candidate[],
  listedTools: readonly string[],
): Promise<Candidate[]> {
  if (words === undefined) {
    if (candidates.length === 0) {
      session.out.note('Neither the federation nor the marketplace has a pipeline yet.')
      return []
    }
    const width = Math.max(...candidates.map(({ name }) => name.length))
    return questions.several({
      flag: '--pipeline NAME',
      message: 'Which pipelines are to run here?',
      choices: candidates.map((each) => ({
        value: each,
        name: choiceLine(each, width, listedTools),
        description: `${each.from}: ${each.description.slice(0, 200)}`,
      })),
    })
  }
  const chosen: Candidate[] = []
  for (const [word, found] of namedBy(words, candidates)) {
    const [only] = found
    if (only === undefined) {
      const message = `No pipeline is named ${word}, here or on the marketplace; "maoctl instance init --list" lists them`
      throw new NodeError('PIPELINE_NOT_FOUND', message, { name: word })
    }
    if (found.length > 1) {
      const authors = found.map(({ name, author }) => `--pipeline ${name}@${author}`)
      throw new NodeError(
        'CONFLICT',
        `${countText(found.length, 'author')} list ${word}; say whose: ${authors.join(', ')}`,
      )
    }
    const { name, lister } = only
    // [MUST] Whoever lists a name first is not who is meant by it.
    if (lister !== undefined && nameIn(word) === word) {
      const flag = `--pipeline ${name}@${lister.author}`
      await meant(questions, { what: `The pipeline ${name}`, flag, lister })
    }
    chosen.push(only)
  }
  return chosen
}

/** Of `name` or `name@author`. */
function nameIn(word: string): string {
  return word.split('@')[0] ?? word
}

async function toldSecrets(session: Session, words: readonly string[]): Promise<Map<string, string>> {
  const told = parseToldSecrets(words)
  const files = new Map<string, string>()
  for (const { file } of told) {
    if (file === undefined || files.has(file)) continue
    const content = await readFile(file, 'utf8').catch((cause: unknown) => {
      throw new NodeError('INVALID_INPUT', `${file} cannot be read: ${reasonOf(cause)}`, { file }, { cause })
    })
    files.set(file, content)
  }
  // A person at the terminal is asked instead, without being shown what is typed.
  const reads = told.some(({ file }) => file === undefined)
  const asked = reads && session.isAttended
  const input = reads && !asked ? await text(session.terminal.stdin) : ''
  return valuesOf(asked ? told.filter(({ file }) => file !== undefined) : told, input, files)
}

/** @throws NodeError INVALID_INPUT for a secret that nothing asks for: most likely its name is misspelt. */
function checkTold(told: ReadonlyMap<string, string>, chosen: readonly Candidate[]): void {
  const asked = chosen.flatMap(({ variables }) => variables.map(({ variable }) => variable))
  const idle = [...told.keys()].filter((variable) => !asked.includes(variable))
  if (idle.length === 0) return
  const wanted = asked.length === 0 ? 'they ask for none' : `they ask for ${[...new Set(asked)].join(', ')}`
  throw new NodeError('INVALID_INPUT', `No chosen pipeline has a secret ${idle.join(', ')}; ${wanted}`)
}

function resultText({ pipeline, nextMs, left }: SetUp): string {
  const when = nextMs === undefined ? 'is set up' : `runs here next at ${timeText(nextMs)}`
  return [`${pipeline} ${when}.`, ...left.map((each) => `  ${each}`)].join('\n')
}
