import type { Command } from "commander";
import type { ClassView } from "../control/policy.ts";
import type { ConnectionStatus, PathStatus, Status, SubflowStatus } from "../control/status.ts";
import { age, bytes, type CommonOptions, client, command, print, table } from "./options.ts";

/** `shunt status`: connections, subflows, paths, classes and policy at this moment. */
export function statusCommand(): Command {
  return command("status", "show connections, subflows and paths").action(async (options: CommonOptions) => {
    print(options, await client(options).call<Status>("GET", "/v1/status"), statusText);
  });
}

/** The tables for people. An asterisk marks what carries new data now. */
export function statusText(status: Status): string {
  const blocks = [
    `shunt ${status.version}, role ${status.role}, up ${age(status.uptimeSeconds)}, ${count(status.connections.length, "connection")}`,
    pathTable(status.paths),
  ];
  blocks.push(status.classes.map(classText).join("\n"));
  for (const connection of status.connections) {
    blocks.push(connectionText(connection));
  }
  return blocks.join("\n\n");
}

function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? "" : "s"}`;
}

function rtt(ms: number | null): string {
  return ms === null ? "-" : `${ms.toFixed(1)} ms`;
}

export function pathTable(paths: PathStatus[]): string {
  return table(
    ["PATH", "STATE", "INTERFACE", "ADDRESS", "GATEWAY", "MTU", "SUBFLOWS", "SENT", "RECEIVED", "RTT"],
    paths.map((path) => [
      path.name,
      [path.state, ...(path.backup ? ["backup"] : []), ...(path.draining ? ["draining"] : [])].join(", "),
      path.interface,
      [path.address4, path.address6].filter((address) => address !== null).join(" ") || "none",
      [path.gateway4, path.gateway6].filter((address) => address !== null).join(" ") || "none",
      String(path.mtu),
      String(path.subflows),
      bytes(path.bytesSent),
      bytes(path.bytesReceived),
      rtt(path.srttMs),
    ]),
  );
}

/** A class, its policy, and what that has decided last. */
function classText({ class: name, state, policy, prefer, pinnedPath, fault, decision, shadow }: ClassView): string {
  const lines = [`class ${name}: policy ${policy}, prefers ${prefer.join(", ")}`];
  if (pinnedPath !== null) lines.push(`  held on ${pinnedPath} by a manual handover`);
  if (state === "fallback") lines.push(`  broken, the engine's own policy serves: ${fault}`);
  if (state === "running" && decision !== null) {
    const { active, standby, open, close, reason, refused, time } = decision;
    const masks = Object.entries({ standby, open, close }).filter(([, paths]) => paths.length > 0);
    const facts = [`use ${active ?? "what is used"}`, ...masks.map(([word, paths]) => `${word} ${paths.join(" ")}`)];
    const verdict = refused === null ? "" : `, refused: ${refused}`;
    lines.push(`  decided ${time.slice(11, 23)}: ${facts.join(", ")} (${reason})${verdict}`);
  }
  if (shadow !== null) {
    lines.push(`  in its shadow ${shadow.policy}: ${shadow.diverged} of ${shadow.decisions} decisions otherwise`);
  }
  return lines.join("\n");
}

function where(address: string, port: number): string {
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}

function connectionText(connection: ConnectionStatus): string {
  const arrow = connection.opener ? "→" : "←";
  const facts = [
    connection.state,
    `age ${age(connection.ageSeconds)}`,
    `sent ${bytes(connection.bytesSent)}`,
    `received ${bytes(connection.bytesReceived)}`,
  ];
  if (connection.activePath !== "") facts.push(`on ${connection.activePath}`);
  if (connection.pinnedPath !== null) facts.push(`pinned to ${connection.pinnedPath}`);
  if (connection.handovers > 0) facts.push(count(connection.handovers, "handover"));
  const ends = `${where(connection.local, connection.localPort)} ${arrow} ${where(connection.remote, connection.remotePort)}`;
  return `connection ${connection.id}  ${ends}\n  ${facts.join(", ")}\n${indent(subflowTable(connection.subflows))}`;
}

function indent(text: string): string {
  return text.replaceAll(/^/gm, "  ");
}

function subflowTable(subflows: SubflowStatus[]): string {
  return table(
    ["", "PATH", "STATE", "LOCAL", "REMOTE", "RTT", "SENT", "RECEIVED", "RESENT"],
    subflows.map((subflow) => [
      subflow.active ? "*" : "",
      subflow.path === "" ? "(gone)" : subflow.path,
      subflowState(subflow),
      where(subflow.local, subflow.localPort),
      where(subflow.remote, subflow.remotePort),
      rtt(subflow.srttMs),
      bytes(subflow.bytesSent),
      bytes(subflow.bytesReceived),
      bytes(subflow.bytesRetransmitted),
    ]),
  );
}

function subflowState(subflow: SubflowStatus): string {
  const words = [subflow.state];
  if (subflow.backup) words.push("backup");
  if (subflow.peerBackup) words.push("peer: backup");
  if (subflow.stale) words.push("stale");
  if (subflow.poisoned) words.push("poisoned");
  return words.join(", ");
}
