BEGIN TRANSACTION;
CREATE TABLE approvals (
	"query" TEXT NOT NULL, 
	number INTEGER NOT NULL, 
	version TEXT NOT NULL, 
	revision INTEGER NOT NULL, 
	approved_by TEXT NOT NULL, 
	approved_at TEXT NOT NULL, 
	revoked_by TEXT, 
	revoked_at TEXT, 
	PRIMARY KEY ("query", number)
);
INSERT INTO "approvals" VALUES('q',1,'sha256:1',1,'stu','2026-03-01T00:00:00.000000+00:00',NULL,NULL);
CREATE TABLE data_versions (
	data_version TEXT NOT NULL, 
	dataset TEXT NOT NULL, 
	number INTEGER NOT NULL, 
	file TEXT NOT NULL, 
	fingerprint TEXT NOT NULL, 
	created_at TEXT NOT NULL, 
	as_of TEXT NOT NULL, 
	PRIMARY KEY (data_version)
);
CREATE TABLE datasets (
	dataset TEXT NOT NULL, 
	revision INTEGER NOT NULL, 
	definition TEXT NOT NULL, 
	lineage TEXT NOT NULL, 
	registered_at TEXT NOT NULL, 
	PRIMARY KEY (dataset, revision)
);
INSERT INTO "datasets" VALUES('shop',1,'yaml','shoppers','2026-03-01T00:00:00.000000+00:00');
CREATE TABLE entries (
	lineage TEXT NOT NULL, 
	seq BIGINT NOT NULL, 
	kind TEXT NOT NULL, 
	measure TEXT NOT NULL, 
	amount BIGINT NOT NULL, 
	delta BIGINT NOT NULL, 
	epsilon BIGINT NOT NULL, 
	at TEXT NOT NULL, 
	actor TEXT NOT NULL, 
	reason TEXT NOT NULL, 
	token_id TEXT, 
	release_id TEXT, 
	dataset TEXT, 
	"query" TEXT, 
	query_version TEXT, 
	parameters TEXT NOT NULL, 
	data_version TEXT, 
	plan_hash TEXT, 
	events TEXT NOT NULL, 
	prev_hash TEXT NOT NULL, 
	hash TEXT NOT NULL, 
	signature TEXT NOT NULL, 
	PRIMARY KEY (lineage, seq), 
	CONSTRAINT entries_kind CHECK (kind IN ('grant', 'charge')), 
	CONSTRAINT entries_never_negative CHECK (amount >= 0 AND delta >= 0 AND epsilon >= 0), 
	CONSTRAINT entries_charge CHECK (kind = 'grant' OR (amount > 0 AND release_id IS NOT NULL)), 
	FOREIGN KEY(lineage) REFERENCES lineages (lineage), 
	UNIQUE (release_id)
);
INSERT INTO "entries" VALUES('shoppers',1,'grant','zcdp',100,50,1000,'2026-03-01T00:00:00.000000+00:00','stu','the budget stated when the lineage was opened',NULL,NULL,NULL,NULL,NULL,'{"conversion_delta":500000000000,"measure":"zcdp","privacy_unit":"household_id"}',NULL,NULL,'[]','sha256:baffc138902ba15acf65d13028c7e01c42df92edf268e6a215078e63409cf5bd','sha256:ede201d53e19d1ef2717f686b641717fa3ef1b8e0f649ced63e58e5621acc7cc','ed25519:da17246c4ffd3ed4c962749963a9d8f14556b708a2a42930f941380b5332d539a603a94d6dbdb15fd73ac85cfcf230e94f7215f3c294253e975b7448fdda4c02');
INSERT INTO "entries" VALUES('shoppers',2,'charge','zcdp',10,0,0,'2026-03-01T00:00:00.000000+00:00','ana','',NULL,'7a8c12026914bfa76db0165bedb2e870','shop','a','sha256:a','{"since":"2017-01-01"}','dv1','sha256:plan','[{"mechanism":"discrete_gaussian","scale":"14.15"}]','sha256:ede201d53e19d1ef2717f686b641717fa3ef1b8e0f649ced63e58e5621acc7cc','sha256:3f671211f7cb454fdf21ed4b32e2db2f11cd2d54e6ecf6820b2bd747d8247e90','ed25519:10ed6af8d6158a95903f53260ba3cbce7a184ff0a2f23170c6fa089545b1a7e99980639c203981a4b212c051038379f5398ad37b343fe5345ba8395280672e0e');
INSERT INTO "entries" VALUES('shoppers',3,'charge','zcdp',20,0,0,'2026-03-01T00:00:00.000000+00:00','ana','',NULL,'3076f2ee0723a7f304e3e39b64ac61a0','shop','b','sha256:b','{"since":"2017-01-01"}','dv1','sha256:plan','[{"mechanism":"discrete_gaussian","scale":"14.15"}]','sha256:3f671211f7cb454fdf21ed4b32e2db2f11cd2d54e6ecf6820b2bd747d8247e90','sha256:957fa2002ac7bd07f84c6f3e27f613f916bb28b42b4e85800be9319f5973e922','ed25519:0e6a0564f12095ededdec040358fe56d986761c7f3a7e27ff40135c91a6ef2ca4ce0603ae0c99a486fd86ed2c2989c1a34864effaff5ad5e6aecfdd38841d60f');
INSERT INTO "entries" VALUES('shoppers',4,'grant','zcdp',5,0,5,'2026-03-01T00:00:00.000000+00:00','stu','more',NULL,NULL,NULL,NULL,NULL,'{}',NULL,NULL,'[]','sha256:957fa2002ac7bd07f84c6f3e27f613f916bb28b42b4e85800be9319f5973e922','sha256:9b987184ae46f55f3ec337a3c8086a707f644a6a4240e070249a965137ba08c8','ed25519:4f244a29611dda865983a44082315b714245c7defd2bc268f8c35f807f0c5c6fc7bb68117eeb18976b0bc560966166ae627f8abec61f1753788e68d15ef5940f');
CREATE TABLE freezes (
	dataset TEXT NOT NULL, 
	number INTEGER NOT NULL, 
	frozen BOOLEAN NOT NULL, 
	actor TEXT NOT NULL, 
	at TEXT NOT NULL, 
	PRIMARY KEY (dataset, number)
);
INSERT INTO "freezes" VALUES('shop',1,1,'stu','2026-03-01T00:00:00.000000+00:00');
INSERT INTO "freezes" VALUES('shop',2,0,'stu','2026-03-01T00:00:00.000000+00:00');
CREATE TABLE idempotency (
	actor TEXT NOT NULL, 
	"key" TEXT NOT NULL, 
	fingerprint TEXT NOT NULL, 
	release_id TEXT NOT NULL, 
	PRIMARY KEY (actor, "key")
);
INSERT INTO "idempotency" VALUES('ana','k','sha256:eb4d1ac33b5bcc7f793621d1da15c6b60263186e1e5f155f880c181fcacd9d0a','3076f2ee0723a7f304e3e39b64ac61a0');
CREATE TABLE lineages (
	lineage TEXT NOT NULL, 
	measure TEXT NOT NULL, 
	conversion_delta BIGINT NOT NULL, 
	privacy_unit TEXT NOT NULL, 
	created_at TEXT NOT NULL, 
	PRIMARY KEY (lineage)
);
INSERT INTO "lineages" VALUES('shoppers','zcdp',500000000000,'household_id','2026-03-01T00:00:00.000000+00:00');
CREATE TABLE queries (
	"query" TEXT NOT NULL, 
	revision INTEGER NOT NULL, 
	dataset TEXT NOT NULL, 
	text TEXT NOT NULL, 
	submitted_at TEXT NOT NULL, 
	actor TEXT NOT NULL, 
	PRIMARY KEY ("query", revision)
);
INSERT INTO "queries" VALUES('q',1,'shop','text','2026-03-01T00:00:00.000000+00:00','ana');
CREATE TABLE releases (
	release_id TEXT NOT NULL, 
	lineage TEXT NOT NULL, 
	dataset TEXT NOT NULL, 
	"query" TEXT NOT NULL, 
	query_version TEXT NOT NULL, 
	question_hash TEXT NOT NULL, 
	data_version TEXT NOT NULL, 
	created_at TEXT NOT NULL, 
	fresh_until TEXT NOT NULL, 
	body BLOB NOT NULL, 
	signature TEXT NOT NULL, 
	PRIMARY KEY (release_id)
);
INSERT INTO "releases" VALUES('7a8c12026914bfa76db0165bedb2e870','shoppers','shop','a','sha256:a','sha256:ff736c78f8092c8ee431e9090c6241d7cb3f562677666faaf7801a20f2ee3007','dv1','2026-03-01T00:00:00.000000+00:00','2026-03-31T00:00:00.000000+00:00',X'64726177','ed25519:0d70c623491fab73557e999aaf0a29be0a0685fd0ba0fc0407a9d6bfee13d464520065b430878e2edbf07a18225747819aab56340463526f14bb963b98681405');
CREATE TABLE schema_version (
	version INTEGER NOT NULL, 
	PRIMARY KEY (version)
);
INSERT INTO "schema_version" VALUES(1);
CREATE TABLE tokens (
	token_id TEXT NOT NULL, 
	name TEXT NOT NULL, 
	role TEXT NOT NULL, 
	datasets TEXT NOT NULL, 
	cap_steps BIGINT, 
	token_hash TEXT NOT NULL, 
	prefix TEXT NOT NULL, 
	created_by TEXT NOT NULL, 
	created_at TEXT NOT NULL, 
	revoked_at TEXT, 
	PRIMARY KEY (token_id), 
	UNIQUE (token_hash)
);
CREATE TRIGGER lineages_no_update BEFORE UPDATE ON lineages BEGIN SELECT RAISE(ABORT, 'lineages is append-only'); END;
CREATE TRIGGER lineages_no_delete BEFORE DELETE ON lineages BEGIN SELECT RAISE(ABORT, 'lineages is append-only'); END;
CREATE TRIGGER lineages_no_replace BEFORE INSERT ON lineages WHEN EXISTS (SELECT 1 FROM lineages WHERE lineage = NEW.lineage) BEGIN SELECT RAISE(ABORT, 'lineages is append-only'); END;
CREATE INDEX releases_question ON releases (question_hash, fresh_until);
CREATE INDEX releases_age ON releases (created_at, release_id);
CREATE TRIGGER releases_no_update BEFORE UPDATE ON releases BEGIN SELECT RAISE(ABORT, 'releases is append-only'); END;
CREATE TRIGGER releases_no_delete BEFORE DELETE ON releases BEGIN SELECT RAISE(ABORT, 'releases is append-only'); END;
CREATE TRIGGER releases_no_replace BEFORE INSERT ON releases WHEN EXISTS (SELECT 1 FROM releases WHERE release_id = NEW.release_id) BEGIN SELECT RAISE(ABORT, 'releases is append-only'); END;
CREATE TRIGGER datasets_no_update BEFORE UPDATE ON datasets BEGIN SELECT RAISE(ABORT, 'datasets is append-only'); END;
CREATE TRIGGER datasets_no_delete BEFORE DELETE ON datasets BEGIN SELECT RAISE(ABORT, 'datasets is append-only'); END;
CREATE TRIGGER datasets_no_replace BEFORE INSERT ON datasets WHEN EXISTS (SELECT 1 FROM datasets WHERE dataset = NEW.dataset AND revision >= NEW.revision) BEGIN SELECT RAISE(ABORT, 'datasets is append-only'); END;
CREATE UNIQUE INDEX data_versions_order ON data_versions (dataset, number);
CREATE TRIGGER freezes_no_update BEFORE UPDATE ON freezes BEGIN SELECT RAISE(ABORT, 'freezes is append-only'); END;
CREATE TRIGGER freezes_no_delete BEFORE DELETE ON freezes BEGIN SELECT RAISE(ABORT, 'freezes is append-only'); END;
CREATE TRIGGER freezes_no_replace BEFORE INSERT ON freezes WHEN EXISTS (SELECT 1 FROM freezes WHERE dataset = NEW.dataset AND number >= NEW.number) BEGIN SELECT RAISE(ABORT, 'freezes is append-only'); END;
CREATE TRIGGER queries_no_update BEFORE UPDATE ON queries BEGIN SELECT RAISE(ABORT, 'queries is append-only'); END;
CREATE TRIGGER queries_no_delete BEFORE DELETE ON queries BEGIN SELECT RAISE(ABORT, 'queries is append-only'); END;
CREATE TRIGGER queries_no_replace BEFORE INSERT ON queries WHEN EXISTS (SELECT 1 FROM queries WHERE query = NEW.query AND revision >= NEW.revision) BEGIN SELECT RAISE(ABORT, 'queries is append-only'); END;
CREATE INDEX ix_tokens_name ON tokens (name);
CREATE INDEX entries_question ON entries (query_version, parameters);
CREATE INDEX ix_entries_token_id ON entries (token_id);
CREATE TRIGGER entries_no_update BEFORE UPDATE ON entries BEGIN SELECT RAISE(ABORT, 'entries is append-only'); END;
CREATE TRIGGER entries_no_delete BEFORE DELETE ON entries BEGIN SELECT RAISE(ABORT, 'entries is append-only'); END;
CREATE TRIGGER entries_no_replace BEFORE INSERT ON entries WHEN EXISTS (SELECT 1 FROM entries WHERE lineage = NEW.lineage AND seq >= NEW.seq) OR EXISTS (SELECT 1 FROM entries WHERE release_id = NEW.release_id) BEGIN SELECT RAISE(ABORT, 'entries is append-only'); END;
COMMIT;
