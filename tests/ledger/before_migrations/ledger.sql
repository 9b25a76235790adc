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
INSERT INTO "approvals" VALUES('a',1,'sha256:a',1,'stu','2026-03-01T00:00:00.000000+00:00',NULL,NULL);
INSERT INTO "approvals" VALUES('b',1,'sha256:b',1,'stu','2026-03-01T00:00:00.000000+00:00',NULL,NULL);
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
INSERT INTO "datasets" VALUES('shop',1,'dataset: shop','shoppers','2026-03-01T00:00:00.000000+00:00');
INSERT INTO "datasets" VALUES('shop',2,'yaml','shoppers','2026-03-01T00:00:00.000000+00:00');
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
INSERT INTO "entries" VALUES('shoppers',1,'grant','zcdp',100,50,1000,'2026-03-01T00:00:00.000000+00:00','stu','the budget stated when the lineage was opened',NULL,NULL,NULL,NULL,NULL,'{"conversion_delta":500000000000,"measure":"zcdp","privacy_unit":"household_id"}',NULL,NULL,'[]','sha256:baffc138902ba15acf65d13028c7e01c42df92edf268e6a215078e63409cf5bd','sha256:ede201d53e19d1ef2717f686b641717fa3ef1b8e0f649ced63e58e5621acc7cc','ed25519:a41fc0c386900c3759150aee6db17a0f605e354650f73b5e86bcffeba43a5265e5484b15c3c1dca7cdadb16d5c59ede8f1cd778fd06249138a2233013d27b801');
INSERT INTO "entries" VALUES('shoppers',2,'charge','zcdp',10,0,0,'2026-03-01T00:00:00.000000+00:00','ana','',NULL,'ffc219c9d0be802dc1456c3060fed01b','shop','a','sha256:a','{"since":"2017-01-01"}','dv1','sha256:plan','[{"cells":1,"mechanism":"discrete_gaussian","norm":null,"per_cell":1,"scale":"223606.79774997922"}]','sha256:ede201d53e19d1ef2717f686b641717fa3ef1b8e0f649ced63e58e5621acc7cc','sha256:9e5606b86ed3b1d8eeaf85a2fa502bf51ab2c761c5d24d946188180c57a3b90e','ed25519:d92bc538e8da485ec36dcd82e06a6a907e3d07edd1ccf5902687da0a751269c25688d56f721a8afbca0608c15c29e47d14b8714b89673d18c441278ac67fca03');
INSERT INTO "entries" VALUES('shoppers',3,'charge','zcdp',20,0,0,'2026-03-01T00:00:00.000000+00:00','ana','',NULL,'f2b7fad9b3f6a059b13f1ceb6600829a','shop','b','sha256:b','{"since":"2017-01-01"}','dv1','sha256:plan','[{"cells":1,"mechanism":"discrete_gaussian","norm":null,"per_cell":1,"scale":"158113.88300841913"}]','sha256:9e5606b86ed3b1d8eeaf85a2fa502bf51ab2c761c5d24d946188180c57a3b90e','sha256:e5d1df79c4f7e0cba75cd3808ac89eb58dbf5e35857d4d87ae3afb71c5565803','ed25519:88927e85b7d1d13f318a422fd3052e620468a4484a7acd7ffb35e8e210aa42c6e929ecc5b04791d7bf6b3e4bd31587983e5ea417022d457cfe694a2cb15ee003');
INSERT INTO "entries" VALUES('shoppers',4,'grant','zcdp',5,0,5,'2026-03-01T00:00:00.000000+00:00','stu','more',NULL,NULL,NULL,NULL,NULL,'{}',NULL,NULL,'[]','sha256:e5d1df79c4f7e0cba75cd3808ac89eb58dbf5e35857d4d87ae3afb71c5565803','sha256:8d1a9c3208e3d2ea679bc4af91a06256ae37e4e901015f4912874eb7bf71ab5a','ed25519:193258ecc7991fc6ea318a0860b12384ab8dab26694f3a09231501b3d83c0f33b7a049b60db8c4fa5701ea7971cb6ee5bb9eeb68976cb138d4656298a561c10a');
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
INSERT INTO "idempotency" VALUES('ana','k','sha256:eb4d1ac33b5bcc7f793621d1da15c6b60263186e1e5f155f880c181fcacd9d0a','f2b7fad9b3f6a059b13f1ceb6600829a');
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
INSERT INTO "queries" VALUES('a',1,'shop','query: a','2026-03-01T00:00:00.000000+00:00','stu');
INSERT INTO "queries" VALUES('b',1,'shop','query: b','2026-03-01T00:00:00.000000+00:00','stu');
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
INSERT INTO "releases" VALUES('ffc219c9d0be802dc1456c3060fed01b','shoppers','shop','a','sha256:a','sha256:ff736c78f8092c8ee431e9090c6241d7cb3f562677666faaf7801a20f2ee3007','dv1','2026-03-01T00:00:00.000000+00:00','2026-03-31T00:00:00.000000+00:00',X'64726177','ed25519:6a81100659c9c367a3fc2d8530ed8f67cc7ab75c55a3c924c4e9006d1c995de7fffbe61ca2270aa0bf07cacb6588c0d93957cab6b5aacd1fe40d5cc8a5050106');
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
CREATE INDEX ix_entries_token_id ON entries (token_id);
CREATE INDEX entries_question ON entries (query_version, parameters);
CREATE TRIGGER entries_no_update BEFORE UPDATE ON entries BEGIN SELECT RAISE(ABORT, 'entries is append-only'); END;
CREATE TRIGGER entries_no_delete BEFORE DELETE ON entries BEGIN SELECT RAISE(ABORT, 'entries is append-only'); END;
CREATE TRIGGER entries_no_replace BEFORE INSERT ON entries WHEN EXISTS (SELECT 1 FROM entries WHERE lineage = NEW.lineage AND seq >= NEW.seq) OR EXISTS (SELECT 1 FROM entries WHERE release_id = NEW.release_id) BEGIN SELECT RAISE(ABORT, 'entries is append-only'); END;
COMMIT;
