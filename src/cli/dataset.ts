import type { Command } from 'commander'
import { datasetBrowseCommands } from './dataset-browse.ts'
import { datasetCloneCommands } from './dataset-clone.ts'
import { datasetDiffCommand } from './dataset-diff.ts'
import { datasetFollowCommands } from './dataset-follow.ts'
import { datasetImportCommand } from './dataset-import.ts'
import { datasetLocalCommands } from './dataset-local.ts'
import { datasetPushCommand } from './dataset-push.ts'
import { datasetShelfCommands } from './dataset-shelf.ts'
import { datasetUpkeepCommands } from './dataset-upkeep.ts'
import { datasetUpstreamCommands } from './dataset-upstream.ts'
import { withNearestDataset } from './nearest-dataset.ts'
import type { Act } from './session.ts'
import { truthCommand } from './truth.ts'

/** `maoctl dataset …`: each group of verbs in a file of its own. */
export function datasetCommands(program: Command, acting: Act): void {
  const act = withNearestDataset(acting)
  const dataset = program.command('dataset').description('the data that members share, as git repositories')
  datasetImportCommand(dataset, act)
  datasetShelfCommands(dataset, act)
  datasetBrowseCommands(dataset, act)
  datasetDiffCommand(dataset, act)
  datasetCloneCommands(dataset, act)
  datasetPushCommand(dataset, act)
  datasetFollowCommands(dataset, act)
  datasetLocalCommands(dataset, act)
  datasetUpkeepCommands(dataset, act)
  datasetUpstreamCommands(dataset, act)
  truthCommand(dataset, act)
}
