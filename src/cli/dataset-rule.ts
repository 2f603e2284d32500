import { type Command, InvalidArgumentError, Option } from 'commander'
import { type DatasetRuleView, datasetRuleSchema } from '../api/rule-routes.ts'
import { NodeError } from '../base/errors.ts'
import { changedRules, type RuleWishes, withoutRule } from '../datasets/rule-changes.ts'
import { METHOD_NAMES, type MethodName, type TruthRules } from '../datasets/truth-rule.ts'
import { readRules } from './rule-file.ts'
import { rulesText } from './rule-text.ts'
import type { Act } from './session.ts'

interface RuleOptions {
  step?: string
  method?: MethodName
  key?: string[]
  files?: string[]
  columns?: string[]
  tolerance?: { absolute?: number; relative?: number }
  byHand?: true
  byRun?: true
  adaptive?: { proven: number; checks: number } | false
  rule?: string
  clear?: true
}

export function datasetRuleCommand(dataset: Command, act: Act): void {
  dataset
    .command('rule <name>')
    .description(
      "show or change how members' results become the ground truth; for who founded it, or an operator",
    )
    .option('--step <name>', "of one step's results; of all steps without it")
    .addOption(new Option('--method <method>', 'how ballots are compared').choices([...METHOD_NAMES]))
    .option('--key <columns>', 'the columns that together name an entry, such as id or site,day', list)
    .option(
      '--files <patterns>',
      "which files hold entries, such as 'x/*.csv'; all CSV and JSON by default",
      list,
    )
    .option('--columns <columns>', 'the columns that are compared; all but the key by default', list)
    .option(
      '--tolerance <distance>',
      'how far from the median a number may lie: 0.01, or 1%, or both as 0.01,1%',
      toleranceOf,
    )
    .addOption(
      new Option('--by-hand', 'people choose and cast ballots ("maoctl vote cast")').conflicts('byRun'),
    )
    .option('--by-run', "every member's own result is its ballot, by itself")
    .option(
      '--adaptive <proven/checks>',
      'fewer repetitions: proven after so many results in a row, and every so-manieth slot by all, such as 10/20',
      adaptiveOf,
    )
    .option('--no-adaptive', 'every member repeats every result')
    .option('--rule <file>', 'the whole rule, as JSON')
    .option('--clear', 'take the rule back, or with --step the rule of that step')
    .action(
      act(async (session, name: string, options: RuleOptions) => {
        const client = await session.connect()
        const path = `/datasets/${encodeURIComponent(name)}/rule`
        const before = await client.get(path, datasetRuleSchema)
        const rules = await wanted(before.rules, options)
        if (rules === undefined) {
          session.out.result(before, () => rulesText(session.out, before))
          return
        }
        const after = await client.put(path, datasetRuleSchema, rules)
        session.out.result(after, () => rulesText(session.out, after))
        const told = staleText(before, rules)
        if (told !== undefined) session.out.note(told)
      }),
    )
}

/** Undefined where nothing is asked for but to see it. */
async function wanted(before: TruthRules, options: RuleOptions): Promise<TruthRules | undefined> {
  const { step, rule, clear } = options
  const wishes = wishesOf(options)
  const asked = [rule !== undefined, clear === true, Object.keys(wishes).length > 0].filter(Boolean).length
  if (asked === 0 && step !== undefined) {
    throw new NodeError(
      'INVALID_INPUT',
      `Say what is to hold for ${step}: --method, --by-hand, --clear or another option`,
    )
  }
  if (asked > 1) {
    throw new NodeError(
      'INVALID_INPUT',
      '--clear, --rule and the options of a rule do not go together; give one of them',
    )
  }
  if (clear === true) return withoutRule(before, step)
  if (rule !== undefined) return readRules(rule, step, before)
  return asked === 0 ? undefined : changedRules(before, step, wishes)
}

function wishesOf({
  method,
  key,
  files,
  columns,
  tolerance,
  byHand,
  byRun,
  adaptive,
}: RuleOptions): RuleWishes {
  return {
    ...(method && { method }),
    ...(key && { key }),
    ...(files && { files }),
    ...(columns && { columns }),
    ...(tolerance && { tolerance }),
    ...(byHand && { ballots: 'hand' as const }),
    ...(byRun && { ballots: 'run' as const }),
    ...(adaptive === undefined ? {} : { adaptive: adaptive === false ? null : adaptive }),
  }
}

/** An opening repeats the rule word for word, so that members sign nothing under the old one from here on. */
function staleText({ dataset, rules, underWay }: DatasetRuleView, after: TruthRules): string | undefined {
  if (underWay.length === 0 || JSON.stringify(rules) === JSON.stringify(after)) return undefined
  return `Under way by the rule before: ${underWay.join(', ')}. Where its rule has changed, members sign no more in it and it ends undecided; "maoctl round open ${dataset} --step STEP" then asks anew.`
}

function list(text: string): string[] {
  const words = text.split(',').map((word) => word.trim())
  if (words.some((word) => word === ''))
    throw new InvalidArgumentError('names are separated by commas, such as site,day')
  return words
}

/** `0.01`, `1%`, or both. @throws InvalidArgumentError */
export function toleranceOf(text: string): { absolute?: number; relative?: number } {
  const found: { absolute?: number; relative?: number } = {}
  for (const part of text.split(',').map((word) => word.trim())) {
    const [, digits, percent] = /^(\d+(?:\.\d+)?(?:e-?\d+)?)(%?)$/i.exec(part) ?? []
    const kind = percent === '%' ? 'relative' : 'absolute'
    if (digits === undefined || found[kind] !== undefined) {
      throw new InvalidArgumentError('a tolerance looks like 0.01, 1% or 0.01,1%')
    }
    found[kind] = percent === '%' ? Number(digits) / 100 : Number(digits)
  }
  if ((found.relative ?? 0) > 1)
    throw new InvalidArgumentError('100% is the most that a number may lie apart')
  return found
}

/** `10/20` @throws InvalidArgumentError */
export function adaptiveOf(text: string): { proven: number; checks: number } {
  const [, proven, checks] = /^(\d{1,4})\/(\d{1,4})$/.exec(text) ?? []
  if (proven === undefined || checks === undefined) {
    throw new InvalidArgumentError('PROVEN/CHECKS looks like 10/20: proven after 10, every 20th slot by all')
  }
  return { proven: Number(proven), checks: Number(checks) }
}
