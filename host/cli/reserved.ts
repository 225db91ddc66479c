import { Command } from "commander";
import { Failed } from "./outcome.ts";

/** A name that belongs to something not built yet: takes any arguments, says so, is not in the help. */
export function reservedCommand(name: string): Command {
  return new Command(name)
    .allowUnknownOption()
    .allowExcessArguments()
    .helpOption(false)
    .action((_options: object, self: Command) => {
      const names = [self.name()];
      for (let parent = self.parent; parent !== null && parent.parent !== null; parent = parent.parent) {
        names.unshift(parent.name());
      }
      throw new Failed(`${names.join(" ")} is not built yet`);
    });
}
