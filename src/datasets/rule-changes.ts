/** What people change in a dataset's rule, and what is wrong with one beyond its form (truth-rule.ts). Pure. */
import { NodeError } from '../base/errors.ts'
import { ruleStepsMax } from '../base/limits-consensus.ts'
import { type Method, type MethodName, ruleOf, type TruthRule, type TruthRules } from './truth-rule.ts'

/** What is said anew; everything else stays as the step has it now. */
export interface RuleWishes {
  readonly method?: MethodName | undefined
  readonly key?: readonly string[] | undefined
  readonly files?: readonly string[] | undefined
  readonly columns?: readonly string[] | undefined
  readonly tolerance?: { readonly absolute?: number; readonly relative?: number } | undefined
  readonly ballots?: 'run' | 'hand' | undefined
  /** Null: every member repeats every result. */
  readonly adaptive?: { readonly proven: number; readonly checks: number } | null | undefined
}

/** What each method is told beside its name. */
const PARAMETERS: Readonly<Record<MethodName, readonly ('key' | 'files' | 'columns' | 'tolerance')[]>> = {
  identical: [],
  rows: ['key', 'files'],
  numeric: ['key', 'files', 'columns', 'tolerance'],
  weighted: ['key', 'files'],
  'dawid-skene': ['key', 'files', 'columns'],
  strangeness: [],
}
const NEEDS_KEY: ReadonlySet<MethodName> = new Set(['rows', 'numeric', 'dawid-skene'])

/**
 * The rules once this is said of `step`, or of all steps where none is named.
 *
 * @throws NodeError INVALID_INPUT with what is missing or contradicts itself.
 */
export function changedRules(
  rules: TruthRules | undefined,
  step: string | undefined,
  wishes: RuleWishes,
): TruthRules {
  const before = step === undefined ? ruleOf({ ...rules, steps: {} }, '') : ruleOf(rules, step)
  return withRule(rules, step, changedRule(before, wishes))
}

/** The rules with another one for a step, or for all steps. @throws NodeError INVALID_INPUT */
export function withRule(
  rules: TruthRules | undefined,
  step: string | undefined,
  rule: TruthRule,
): TruthRules {
  const next =
    step === undefined ? { ...rules, all: rule } : { ...rules, steps: { ...rules?.steps, [step]: rule } }
  checkRules(next)
  return next
}

/** The rules without that of a step; without any where none is named. */
export function withoutRule(rules: TruthRules | undefined, step: string | undefined): TruthRules {
  if (step === undefined) return {}
  const { steps = {}, ...rest } = rules ?? {}
  const left = Object.entries(steps).filter(([name]) => name !== step)
  return left.length === 0 ? rest : { ...rest, steps: Object.fromEntries(left) }
}

/** @throws NodeError INVALID_INPUT for a rule that has the form of one and would never do what it says. */
export function checkRules({ all, steps = {} }: TruthRules): void {
  if (Object.keys(steps).length > ruleStepsMax) {
    throw wrong(
      `a dataset has rules of its own for ${ruleStepsMax} steps at most; let --clear --step take one back`,
    )
  }
  for (const rule of [...(all === undefined ? [] : [all]), ...Object.values(steps)]) checkRule(rule)
}

function checkRule({ method, ballots, adaptive }: TruthRule): void {
  checkMethod(method)
  if (ballots === 'hand' && adaptive !== undefined) {
    throw wrong(
      'ballots by hand are nobody’s runs, so that there is nothing to repeat less often: choose --by-hand or --adaptive; --no-adaptive takes the latter back',
    )
  }
}

function checkMethod(method: Method): void {
  if ('key' in method && method.key !== undefined) checkDistinct('--key', method.key)
  if ('columns' in method && method.columns !== undefined) {
    checkDistinct('--columns', method.columns)
    const both = method.columns.find((name) => method.key.includes(name))
    if (both !== undefined) {
      throw wrong(
        `"${both}" cannot be both what names an entry and what is compared; leave it out of --key or --columns`,
      )
    }
  }
  if (method.name === 'weighted' && method.key === undefined && method.files !== undefined) {
    throw wrong(
      '--files says where entries are, and without a key whole files are weighed: add --key, or leave --files out',
    )
  }
  if (method.name !== 'numeric') return
  const { absolute, relative } = method.tolerance
  if (absolute === undefined && relative === undefined) throw wrong(TOLERANCE_MISSING)
}

const TOLERANCE_MISSING =
  'numeric has to know how far apart numbers may lie: --tolerance 0.01 (in the unit of the column) or --tolerance 1% (of the median); 0 for not at all'

function checkDistinct(option: string, names: readonly string[]): void {
  const twice = names.find((name, i) => names.indexOf(name) !== i)
  if (twice !== undefined) throw wrong(`${option} names "${twice}" twice; name each column once`)
}

function changedRule(before: TruthRule, wishes: RuleWishes): TruthRule {
  const { ballots = before.ballots } = wishes
  const adaptive = wishes.adaptive === undefined ? before.adaptive : (wishes.adaptive ?? undefined)
  return {
    method: changedMethod(before.method, wishes),
    ...(ballots === undefined ? {} : { ballots }),
    ...(adaptive === undefined ? {} : { adaptive }),
  }
}

/** A method goes on with what it was told; another one begins anew, but for how entries are named and where they are. */
function changedMethod(before: Method, wishes: RuleWishes): Method {
  const name = wishes.method ?? before.name
  const takes = PARAMETERS[name]
  const given = (['key', 'files', 'columns', 'tolerance'] as const).filter(
    (each) => wishes[each] !== undefined,
  )
  const idle = given.find((each) => !takes.includes(each))
  if (idle !== undefined) {
    const others = (Object.keys(PARAMETERS) as MethodName[]).filter((each) => PARAMETERS[each].includes(idle))
    throw wrong(`${name} looks at no --${idle}; the methods that do are ${others.join(', ')}`)
  }
  const kept = before.name === name ? before : 'key' in before ? { key: before.key, files: before.files } : {}
  const next: Record<string, unknown> = { name }
  for (const parameter of takes) {
    const value = wishes[parameter] ?? (kept as Record<string, unknown>)[parameter]
    if (value !== undefined) next[parameter] = value
  }
  if (NEEDS_KEY.has(name) && next.key === undefined) {
    throw wrong(
      `${name} compares entry by entry and has to know which columns name one: --key COLUMN, or --key A,B for several`,
    )
  }
  if (name === 'numeric' && next.tolerance === undefined) throw wrong(TOLERANCE_MISSING)
  return next as Method
}

function wrong(message: string): NodeError {
  return new NodeError('INVALID_INPUT', message)
}
