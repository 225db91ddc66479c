// What every benchmark in namespaces needs before its first stand: the programs, and the right to make namespaces.

import { enterUserNamespace, installLine, isRoot, missingPackages } from "../../test/lab/requirements.ts";

/** The exit status if this process is done: a program is missing, or a child in a user namespace did the work. */
export function prepare(): number | undefined {
  const missing = missingPackages();
  if (missing.length > 0) {
    console.error(`missing programs; run as root: ${installLine(missing)}`);
    return 1;
  }
  return isRoot() ? undefined : enterUserNamespace();
}
