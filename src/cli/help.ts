import type { Command } from 'commander'
import { NodeError } from '../base/errors.ts'
import { EXIT, EXIT_MEANINGS } from './exit-codes.ts'
import type { Act, Session } from './session.ts'

/** Variables that maoctl itself reads; those of the node are its settings. */
export const VARIABLES = {
  MAO_DATA: 'data directory of the node, where --data does not say it; default ~/.mao',
  MAO_URL: 'address of the node, where neither --url, --data nor --profile says which',
  MAO_TOKEN:
    'token for MAO_URL, without it for --url or the data directory; never sent to the node of a profile',
  MAO_PROFILE: 'name of a profile, where neither the line nor MAO_URL says which node',
  MAO_CA_FILE: 'certificates (PEM) that an https:// node is checked with',
  MAO_CONFIG: 'settings file of "maoctl instance start"',
  NO_COLOR: 'not empty: no colours',
  FORCE_COLOR: 'not 0: colours also where the output is no terminal; NO_COLOR weighs more',
  XDG_CONFIG_HOME: 'where mao/profiles.yaml lies; default ~/.config',
} as const

type Pairs = readonly (readonly [string, string])[]

/** What can be read about beside commands. */
const TOPICS: Readonly<Record<string, () => { readonly pairs: Pairs; readonly note: string }>> = {
  'exit-codes': () => ({
    pairs: exitCodes().map(({ code, meaning }) => [String(code), meaning]),
    note: 'Every error names its own code in words as well, and with --json the whole problem on standard error.',
  }),
  environment: () => ({
    pairs: Object.entries(VARIABLES),
    note: 'Every setting of the node has a variable too: "maoctl instance settings".',
  }),
}

/** The exit codes in the order of their numbers. */
export function exitCodes(): { readonly code: number; readonly name: string; readonly meaning: string }[] {
  const names = Object.keys(EXIT) as (keyof typeof EXIT)[]
  return names.map((name) => ({ code: EXIT[name], name, meaning: EXIT_MEANINGS[name] }))
}

export function helpCommands(program: Command, act: Act): void {
  program.helpCommand(false)
  program
    .command('help [words...]')
    .description('tell how a command is written, or about exit-codes or environment')
    .action(act(async (session, words: string[]) => help(session, program, words)))
}

async function help(session: Session, program: Command, words: readonly string[]): Promise<void> {
  const [first = ''] = words
  const topic = Object.hasOwn(TOPICS, first) ? TOPICS[first]?.() : undefined
  if (topic !== undefined) {
    const value = first === 'exit-codes' ? exitCodes() : Object.fromEntries(topic.pairs)
    const told = () => `${session.out.pairs(topic.pairs)}\n\n${topic.note}`
    return session.out.result(value, told, told)
  }
  let at = program
  for (const word of words) {
    const next = at.commands.find((command) => command.name() === word || command.aliases().includes(word))
    if (next === undefined) {
      const where = `maoctl ${words.join(' ')}`
      throw new NodeError('INVALID_INPUT', `There is no "${where}"; "maoctl help" lists the commands`)
    }
    at = next
  }
  const value = { command: words.join(' '), help: at.helpInformation() }
  session.out.result(
    value,
    () => at.helpInformation().trimEnd(),
    () => at.helpInformation().trimEnd(),
  )
}
