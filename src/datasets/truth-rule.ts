/**
 * What a dataset says about its ground truth: by which method members' results become one, who hands ballots in, and how
 * often a result is to be repeated. The opening of every round repeats the method (protocols/voting.md [O6]), so that
 * all count alike.
 */
import { z } from 'zod'
import {
  adaptiveChecksMax,
  adaptiveProvenMax,
  ruleColumnsMax,
  ruleFilePatternsMax,
  ruleNameCharactersMax,
  ruleStepsMax,
} from '../base/limits-consensus.ts'
import { isName } from '../base/names.ts'

const column = z.string().min(1).max(ruleNameCharactersMax)
const columns = z.array(column).min(1).max(ruleColumnsMax)

const entries = {
  /** Columns (CSV) or members of an object (JSON, JSON Lines) whose values together name an entry. */
  key: columns,
  /** Which paths hold entries: `*` is anything but a slash, `**` is anything. All CSV, JSON and JSON Lines files without it. */
  files: z.array(z.string().min(1).max(ruleNameCharactersMax)).min(1).max(ruleFilePatternsMax).optional(),
}

/** How ballots become a result (protocols/methods.md). */
export const methodSchema = z.discriminatedUnion('name', [
  z.strictObject({ name: z.literal('identical') }),
  z.strictObject({ name: z.literal('rows'), ...entries }),
  z.strictObject({
    name: z.literal('numeric'),
    ...entries,
    /** The columns that hold numbers; all but the key without it. */
    columns: columns.optional(),
    /** How far from the median a value may lie and agree; with both, the wider one counts. */
    tolerance: z.strictObject({
      absolute: z.number().nonnegative().optional(),
      /** A part of the median: 0.01 is one percent. */
      relative: z.number().nonnegative().max(1).optional(),
    }),
  }),
  z.strictObject({
    name: z.literal('weighted'),
    /** Without a key whole files are weighed, with one their entries. */
    key: columns.optional(),
    files: entries.files,
  }),
  z.strictObject({
    name: z.literal('dawid-skene'),
    ...entries,
    /** The columns that hold labels; all but the key without it. */
    columns: columns.optional(),
  }),
  z.strictObject({ name: z.literal('strangeness') }),
])
export type Method = z.infer<typeof methodSchema>
export type MethodName = Method['name']
export const METHOD_NAMES = [
  'identical',
  'rows',
  'numeric',
  'weighted',
  'dawid-skene',
  'strangeness',
] as const

export const truthRuleSchema = z.strictObject({
  method: methodSchema,
  /** `hand`: nobody's result is cast by itself, people choose. */
  ballots: z.enum(['run', 'hand']).optional(),
  /** Fewer repetitions where proven members did the work (Anderson 2004, BOINC's adaptive replication). */
  adaptive: z
    .strictObject({
      /** So many results in a row must have agreed before a member counts as proven. */
      proven: z.number().int().min(2).max(adaptiveProvenMax),
      /** One slot in so many is repeated by everybody all the same. */
      checks: z.number().int().min(2).max(adaptiveChecksMax),
    })
    .optional(),
})
export type TruthRule = z.infer<typeof truthRuleSchema>

/** As it stands in the dataset's record: one rule for all steps, and others for those that are named. */
export const truthRulesSchema = z.strictObject({
  all: truthRuleSchema.optional(),
  steps: z
    .record(z.string().refine(isName, 'is no name of a step'), truthRuleSchema)
    .refine((steps) => Object.keys(steps).length <= ruleStepsMax, `has more than ${ruleStepsMax} steps`)
    .optional(),
})
export type TruthRules = z.infer<typeof truthRulesSchema>

export const PLAIN_RULE: TruthRule = { method: { name: 'identical' } }

/** The rule of a step: its own, else that of all, else `identical` with every member's result. Pure. */
export function ruleOf(rules: TruthRules | undefined, step: string): TruthRule {
  const own = rules?.steps
  return (own !== undefined && Object.hasOwn(own, step) ? own[step] : undefined) ?? rules?.all ?? PLAIN_RULE
}
