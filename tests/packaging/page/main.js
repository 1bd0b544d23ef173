import "../use.js";
