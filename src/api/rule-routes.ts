import { createRoute, type OpenAPIHono } from '@hono/zod-openapi'
import { z } from 'zod'
import { isNodeError, NodeError } from '../base/errors.ts'
import { checkRules } from '../datasets/rule-changes.ts'
import { type TruthRules, truthRulesSchema } from '../datasets/truth-rule.ts'
import type { ApiNode } from './api-node.ts'
import { policySchema } from './dataset-views.ts'
import { body, namedParam, newRoutes, tells } from './routing.ts'

export const datasetRuleSchema = z
  .object({
    dataset: z.string(),
    policy: policySchema.describe('unless it is shared, nobody votes and the rule is idle'),
    rules: truthRulesSchema.describe(
      'what the dataset says; a step without a rule goes by `all`, else by identical',
    ),
    setBy: z.string().describe('name of the member whose record of the dataset counts'),
    operators: z.boolean().describe('whether operators may change the rule beside that member'),
    mayChange: z.boolean().describe('whether this node may'),
    underWay: z.array(z.string()).describe('rounds of the dataset that are open or being voted on'),
  })
  .meta({ id: 'DatasetRule' })
export type DatasetRuleView = z.output<typeof datasetRuleSchema>

const path = '/datasets/{name}/rule'
const responses = tells(datasetRuleSchema, 'The rule, and who may change it')

const show = createRoute({
  method: 'get',
  path,
  summary: "By which method members' results become the ground truth of a dataset, and who casts ballots",
  request: { params: namedParam },
  responses,
})

const set = createRoute({
  method: 'put',
  path,
  summary:
    'Say how results become the ground truth, for all steps and for single ones; rounds under way by another rule end undecided',
  request: { params: namedParam, body: body(truthRulesSchema) },
  responses,
})

/** How the ground truth of a dataset comes about. */
export function ruleRoutes(node: ApiNode): OpenAPIHono {
  const routes = newRoutes()
  routes.openapi(show, (c) => c.json(viewOf(node, c.req.valid('param').name), 200))
  routes.openapi(set, async (c) => {
    const { name } = c.req.valid('param')
    await setRules(node, name, c.req.valid('json'))
    return c.json(viewOf(node, name), 200)
  })
  return routes
}

async function setRules(node: ApiNode, name: string, rules: TruthRules): Promise<void> {
  const { mayChange, setBy, operators, policy } = viewOf(node, name)
  if (policy !== 'shared') {
    const message = `Nobody votes on ${name}, which is ${policy}, so that it has no rule; let results go into a shared dataset`
    throw new NodeError('DATASET_WITHHELD', message, { name, policy })
  }
  const others = operators ? ', and by operators' : ', whose record of it counts'
  const denied = `How ${name} comes to its ground truth is said by ${setBy}${others}; ask ${setBy}`
  if (!mayChange) throw new NodeError('FORBIDDEN', denied, { name, setBy })
  checkRules(rules)
  try {
    await node.federation.datasets.edit(name, { truth: rules })
  } catch (cause) {
    if (!isNodeError(cause, 'CONFLICT')) throw cause
    throw new NodeError('FORBIDDEN', denied, { name, setBy }, { cause })
  }
}

/** @throws NodeError DATASET_NOT_FOUND */
function viewOf(node: ApiNode, name: string): DatasetRuleView {
  const { datasets, members, consensus } = node.federation
  const known = datasets.find(name)
  if (known === undefined) throw new NodeError('DATASET_NOT_FOUND', `No dataset is named ${name}`, { name })
  const { record, policy, author } = known
  const isOperator = (peer: string) => members.get(peer)?.role === 'operator'
  // What an operator says of a dataset goes before what others say of it, and stands against another operator.
  const operators = !isOperator(author)
  return {
    dataset: name,
    policy,
    rules: record.truth ?? {},
    setBy: members.get(author)?.name ?? author,
    operators,
    mayChange: policy === 'shared' && (author === node.peerId || (operators && isOperator(node.peerId))),
    underWay: consensus
      .rounds(name)
      .filter(({ state }) => state === 'open' || state === 'closed')
      .map(({ id }) => id),
  }
}
