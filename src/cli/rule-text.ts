/** A dataset's rule in words. */
import type { DatasetRuleView } from '../api/rule-routes.ts'
import { type Method, ruleOf, type TruthRule } from '../datasets/truth-rule.ts'
import type { Output } from './output.ts'

/** The rule of all steps, and those of single ones. */
export function rulesText(
  out: Output,
  { dataset, policy, rules, setBy, operators, mayChange, underWay }: DatasetRuleView,
): string {
  if (policy !== 'shared') {
    return `Nobody votes on ${dataset}, which is ${policy}: its ground truth is the newest commit of whoever owns it.`
  }
  const { all, steps = {} } = rules
  const named = Object.entries(steps).sort(([a], [b]) => (a < b ? -1 : 1))
  const rows = [
    [named.length === 0 ? 'all' : 'all others', ...cells(ruleOf({ all }, ''))],
    ...named.map(([step, rule]) => [step, ...cells(rule)]),
  ]
  const lines = [
    out.table(['steps', 'method', 'ballots', 'repeated by'], rows),
    '',
    ...[ruleOf({ all }, ''), ...named.map(([, rule]) => rule)]
      .map(({ method }) => methodText(method))
      .filter((text, i, texts) => texts.indexOf(text) === i),
    mayChange
      ? `"maoctl dataset rule ${dataset} --method …" changes it.`
      : `${setBy}${operators ? ' and operators' : ''} may change it.`,
    ...underWay.map((id) => `Under way: ${id}`),
  ]
  return lines.join('\n')
}

function cells({ method, ballots = 'run', adaptive }: TruthRule): string[] {
  return [
    methodName(method),
    ballots === 'hand' ? 'by hand (people choose)' : 'each member’s own result',
    adaptive === undefined
      ? 'every member'
      : `fewer, once proven by ${adaptive.proven} in a row; every ${ordinal(adaptive.checks)} slot by all`,
  ]
}

/** With what it was told, in short: `numeric (key id, within 1%)`. */
export function methodName(method: Method): string {
  const told = [
    ...('key' in method && method.key !== undefined ? [`key ${method.key.join(',')}`] : []),
    ...('columns' in method && method.columns !== undefined ? [`columns ${method.columns.join(',')}`] : []),
    ...('files' in method && method.files !== undefined ? [`files ${method.files.join(',')}`] : []),
    ...(method.name === 'numeric' ? [`within ${toleranceText(method.tolerance)}`] : []),
  ]
  return told.length === 0 ? method.name : `${method.name} (${told.join('; ')})`
}

/** What a method does, for whoever has not read the protocol. */
export function methodText(method: Method): string {
  switch (method.name) {
    case 'identical':
      return 'identical: a file is agreed on when more than half of the ballots hold it byte for byte.'
    case 'rows':
      return 'rows: CSV, JSON and JSON Lines are agreed on entry by entry, each by more than half of the ballots; other files byte for byte.'
    case 'numeric':
      return `numeric: numbers agree within ${toleranceText(method.tolerance)} of their median, which becomes the result; outliers are named.`
    case 'weighted':
      return 'weighted: as with equal votes, but each member’s ballot weighs as much as its past results were reliable.'
    case 'dawid-skene':
      return 'dawid-skene: the most likely label of each entry, with every member’s errors estimated from all entries (Dawid and Skene 1979).'
    case 'strangeness':
      return 'strangeness: the ballot that differs least from all others is taken as a whole.'
  }
}

function toleranceText({ absolute, relative }: Extract<Method, { name: 'numeric' }>['tolerance']): string {
  const said = [
    ...(absolute === undefined ? [] : [String(absolute)]),
    ...(relative === undefined ? [] : [`${Number((relative * 100).toPrecision(12))}%`]),
  ]
  return said.join(' or ')
}

function ordinal(count: number): string {
  const ends = ['th', 'st', 'nd', 'rd']
  const last = count % 100
  return `${count}${ends[(last - 20) % 10] ?? ends[last] ?? ends[0]}`
}
