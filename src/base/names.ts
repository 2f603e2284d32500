import { z } from 'zod'
import { NodeError } from './errors.ts'

/**
 * Names of nodes, datasets, tools, pipelines and steps: they become path segments, git branches, container names and
 * registry keys, so they keep to what all of these accept.
 */
const NAME = /^[a-z0-9](?:[a-z0-9._-]{0,61}[a-z0-9])?$/

const RULE =
  'a name has 1 to 63 lower-case letters, digits, dots, dashes and underscores, begins and ends with a letter or digit, and has no two dots in a row and no final ".lock"'

/** Pure check of a name; see the rule in the message of `parseName`. */
export function isName(text: string): boolean {
  // ".." and ".lock" are what git refuses in a branch beyond the character set.
  return NAME.test(text) && !text.includes('..') && !text.endsWith('.lock')
}

/** @throws NodeError INVALID_NAME saying what a name may be. */
export function parseName(what: string, text: string): string {
  if (!isName(text))
    throw new NodeError('INVALID_NAME', `"${text}" cannot name a ${what}: ${RULE}`, { name: text })
  return text
}

/** The same rule as a schema, for data from outside. */
export const nameSchema = z.string().refine(isName, { message: RULE })
