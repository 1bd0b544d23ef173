"use client";
import { useEffect } from "react";
import { Peer } from "peergraph";

export default function Page() {
  useEffect(() => { import("../../use.js"); }, []);
  return <p>Imported on the server, too: {typeof Peer}</p>;
}
