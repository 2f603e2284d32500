import { readFile } from 'node:fs/promises'
import { messageOf, NodeError } from '../base/errors.ts'
import { ruleFileBytesMax } from '../base/limits-consensus.ts'
import { checkRules, withRule } from '../datasets/rule-changes.ts'
import { type TruthRules, truthRuleSchema, truthRulesSchema } from '../datasets/truth-rule.ts'

const FORM =
  '"maoctl --json dataset rule NAME" shows the form under "rules"; a single rule is {"method": {"name": …}}'

/**
 * Rules from a file: all that a dataset says (`{all, steps}`), or one rule, for all steps or for the one that is named.
 *
 * @param before what the dataset says now, into which one step's rule goes.
 * @throws NodeError INVALID_INPUT, TOO_LARGE
 */
export async function readRules(file: string, step?: string, before?: TruthRules): Promise<TruthRules> {
  const value = await readJson(file)
  const one = truthRuleSchema.safeParse(value)
  if (one.success) return withRule(before, step, one.data)
  const all = truthRulesSchema.safeParse(value)
  if (all.success && step === undefined) {
    checkRules(all.data)
    return all.data
  }
  if (all.success) {
    throw new NodeError(
      'INVALID_INPUT',
      `${file} holds rules of several steps; leave --step out to set them all`,
    )
  }
  const isOne = typeof value === 'object' && value !== null && 'method' in value
  const [issue] = (isOne ? one : all).error?.issues ?? []
  const where = issue === undefined || issue.path.length === 0 ? '' : ` at ${issue.path.join('.')}`
  throw new NodeError(
    'INVALID_INPUT',
    `${file} holds no rule${where}: ${issue?.message ?? 'another form is due'}; ${FORM}`,
  )
}

async function readJson(file: string): Promise<unknown> {
  let text: string
  try {
    text = await readFile(file, 'utf8')
  } catch (cause) {
    throw new NodeError(
      'INVALID_INPUT',
      `${file} cannot be read: ${messageOf(cause)}; name a file with JSON`,
      { file },
      { cause },
    )
  }
  if (text.length > ruleFileBytesMax) {
    throw new NodeError('TOO_LARGE', `${file} is no rule: it has more than ${ruleFileBytesMax} bytes`, {
      file,
    })
  }
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new NodeError(
      'INVALID_INPUT',
      `${file} holds no JSON: ${messageOf(cause)}; ${FORM}`,
      { file },
      { cause },
    )
  }
}
