import { type Command, Option } from "commander";
import type { PathStatus } from "../control/status.ts";
import { type CommonOptions, client, command, group, print } from "./options.ts";
import { WrongUse } from "./outcome.ts";
import { pathTable } from "./status.ts";

interface AddOptions extends CommonOptions {
  interface: string;
  gateway?: string;
  gateway6?: string;
  backup?: boolean;
  mtu?: string;
}

/** `shunt path list|add|remove|backup|drain`. What is changed here lasts until the configuration is read again. */
export function pathCommand(): Command {
  const path = group("path", "list, add, remove or rank paths");
  path.addCommand(
    command("list", "list the paths").action(async (options: CommonOptions) => {
      const answer = await client(options).call<{ paths: PathStatus[] }>("GET", "/v1/paths");
      print(options, answer, ({ paths }) => pathTable(paths));
    }),
  );
  path.addCommand(addCommand());
  path.addCommand(
    command("remove", "remove a path; its subflows are abandoned")
      .argument("<name>", "name of the path")
      .action(async (name: string, options: CommonOptions) => {
        const answer = await client(options).call("DELETE", `/v1/paths/${encodeURIComponent(name)}`);
        print(options, answer, () => `path ${name} removed`);
      }),
  );
  path.addCommand(
    command("backup", "use a path only when nothing else is left")
      .argument("<name>", "name of the path")
      .addOption(new Option("--off", "use it like any other again"))
      .action(async (name: string, options: CommonOptions & { off?: boolean }) => {
        const body = { backup: options.off !== true };
        const answer = await client(options).call("PATCH", `/v1/paths/${encodeURIComponent(name)}`, body);
        print(options, answer, () => `path ${name} is ${body.backup ? "now" : "no longer"} backup`);
      }),
  );
  path.addCommand(
    command("drain", "join nothing on a path any more, and tell policies that it is about to be left")
      .argument("<name>", "name of the path")
      .addOption(new Option("--off", "use it like any other again"))
      .action(async (name: string, options: CommonOptions & { off?: boolean }) => {
        const body = { draining: options.off !== true };
        const answer = await client(options).call("PATCH", `/v1/paths/${encodeURIComponent(name)}`, body);
        print(options, answer, () => `path ${name} is ${body.draining ? "now" : "no longer"} draining`);
      }),
  );
  return path;
}

function addCommand(): Command {
  return command("add", "add a path until the next reload")
    .argument("<name>", "its name")
    .requiredOption("--interface <interface>", "network interface")
    .option("--gateway <address>", "IPv4 next hop; default: the interface's default route")
    .option("--gateway6 <address>", "IPv6 next hop")
    .option("--backup", "use it only when nothing else is left")
    .option("--mtu <octets>", "smaller than the interface's own")
    .action(async (name: string, options: AddOptions) => {
      const { interface: device, gateway, gateway6, backup } = options;
      const mtu = options.mtu === undefined ? undefined : Number(options.mtu);
      if (mtu !== undefined && !Number.isInteger(mtu))
        throw new WrongUse(`--mtu takes a number of octets, found "${options.mtu}"`);
      const body = { name, interface: device, gateway, gateway6, backup, mtu };
      const answer = await client(options).call<{ path: PathStatus }>("POST", "/v1/paths", body);
      print(options, answer, (added) => pathTable([added.path]));
    });
}
