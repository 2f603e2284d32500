import type { Command } from 'commander'
import { datasetAuditCommands } from './audit.ts'
import { datasetAccessCommands } from './dataset-access.ts'
import { datasetBrowseCommands } from './dataset-browse.ts'
import { datasetCloneCommands } from './dataset-clone.ts'
import { datasetDiffCommand } from './dataset-diff.ts'
import { datasetFollowCommands } from './dataset-follow.ts'
import { datasetImportCommand } from './dataset-import.ts'
import { datasetLocalCommands } from './dataset-local.ts'
import { datasetPushCommand } from './dataset-push.ts'
import { datasetResetCommand } from './dataset-reset.ts'
import { datasetRuleCommand } from './dataset-rule.ts'
import { datasetShelfCommands } from './dataset-shelf.ts'
import { datasetTrustCommands } from './dataset-trust.ts'
import { datasetUpkeepCommands } from './dataset-upkeep.ts'
import { datasetUpstreamCommands } from './dataset-upstream.ts'
import { withNearestDataset } from './nearest-dataset.ts'
import type { Act } from './session.ts'
import { truthCommand } from './truth.ts'

/** `maoctl dataset …`: each group of verbs in a file of its own. */
export function datasetCommands(program: Command, acting: Act): void {
  const act = withNearestDataset(acting)
  const dataset = program.command('dataset').description('the data that members share, as git repositories')
  dataset.commandsGroup('The dataset itself:')
  datasetImportCommand(dataset, act)
  datasetShelfCommands(dataset, act)
  datasetResetCommand(dataset, act)
  dataset.commandsGroup('Look into:')
  datasetBrowseCommands(dataset, act)
  datasetDiffCommand(dataset, act)
  truthCommand(dataset, act)
  datasetAuditCommands(dataset, act)
  datasetRuleCommand(dataset, act)
  dataset.commandsGroup('Work in a clone:')
  datasetCloneCommands(dataset, act)
  datasetPushCommand(dataset, act)
  dataset.commandsGroup('What this node copies:')
  datasetFollowCommands(dataset, act)
  datasetLocalCommands(dataset, act)
  datasetUpkeepCommands(dataset, act)
  datasetTrustCommands(dataset, act)
  datasetAccessCommands(dataset, act)
  dataset.commandsGroup('Elsewhere:')
  datasetUpstreamCommands(dataset, act)
}
