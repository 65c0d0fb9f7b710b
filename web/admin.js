// The page /admin: takes the token from its own address, and keeps it for this tab.
import en from "./lang/admin-en.js";
import fr from "./lang/admin-fr.js";
import {open} from "./page.js";

open("octroi-admin-token", {en: en.admin, fr: fr.admin});
import("./elements/admin.js");
