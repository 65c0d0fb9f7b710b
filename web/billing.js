// The page /billing: keeps its token for this tab, for the way to the payment page and back.
import en from "./lang/en.js";
import fr from "./lang/fr.js";
import {open} from "./page.js";

open("octroi-token", {en: en.title, fr: fr.title});
