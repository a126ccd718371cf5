import com.zaxxer.hikari.HikariConfig;
import com.zaxxer.hikari.HikariDataSource;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.StringReader;
import java.io.StringWriter;
import java.math.BigDecimal;
import java.sql.Connection;
import java.sql.DatabaseMetaData;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.postgresql.PGConnection;
import org.postgresql.copy.CopyManager;

/**
 * A program of tests around pgjdbc and HikariCP: for each line of standard input that names one of its steps,
 * one line of JSON.
 */
public class PgJdbc {
  interface Step {
    Object run() throws Exception;
  }

  interface Work {
    void run() throws SQLException;
  }

  static final String ENDLESS = "SELECT count(*) FROM generate_series(1, 10000000000)";
  static HikariDataSource pool;

  static HikariConfig config(String more) {
    Map<String, String> env = System.getenv();
    HikariConfig config = new HikariConfig();
    config.setJdbcUrl("jdbc:postgresql://" + env.get("PGHOST") + ":" + env.get("PGPORT") + "/" + env.get("PGDATABASE")
        + "?sslmode=verify-full&sslrootcert=" + env.get("PGSSLROOTCERT") + more);
    config.setUsername(env.get("PGUSER"));
    config.setPassword(env.get("PGPASSWORD"));
    config.setMaximumPoolSize(3);
    config.setConnectionTimeout(5000);
    return config;
  }

  static Object openPool() throws Exception {
    HikariConfig config = config("&ApplicationName=jdbc&reWriteBatchedInserts=true&prepareThreshold=3");
    config.setConnectionInitSql("SET statement_timeout = '30s'");
    pool = new HikariDataSource(config);
    try (Connection c = pool.getConnection()) {
      c.setClientInfo("ApplicationName", "renamed");
      return List.of(text(c, "SHOW application_name"), text(c, "SHOW extra_float_digits"),
          text(c, "SHOW statement_timeout"), c.isValid(5));
    }
  }

  /** Past the threshold the statement is a named one, and its results come in binary. */
  static Object namedAndBinary() throws Exception {
    List<Object> found = new ArrayList<>();
    try (Connection c = pool.getConnection();
        PreparedStatement s = c.prepareStatement("SELECT id, ssn, balance, birth_date FROM customers WHERE id = ?")) {
      for (int id = 1; id <= 8; id++) {
        s.setInt(1, id);
        try (ResultSet r = s.executeQuery()) {
          r.next();
          if (id % 2 == 0) found.add(r.getInt(1) + masked(r.getString(2)));
        }
      }
    }
    try (HikariDataSource binary = new HikariDataSource(config("&prepareThreshold=-1&binaryTransfer=true"));
        Connection c = binary.getConnection();
        PreparedStatement s = c.prepareStatement("SELECT id, ssn FROM customers WHERE id < ? ORDER BY id")) {
      s.setInt(1, 3);
      for (int round = 0; round < 2; round++) {
        try (ResultSet r = s.executeQuery()) {
          while (r.next()) found.add(r.getInt(1) + masked(r.getString(2)));
        }
      }
    }
    return found;
  }

  static Object everyQueryMode() throws Exception {
    List<Object> found = new ArrayList<>();
    for (String mode : List.of("simple", "extended", "extendedForPrepared", "extendedCacheEverything")) {
      try (HikariDataSource one = new HikariDataSource(config("&preferQueryMode=" + mode)); Connection c = one.getConnection()) {
        try (PreparedStatement s = c.prepareStatement("SELECT ssn FROM customers WHERE id = ?")) {
          s.setInt(1, 4);
          try (ResultSet r = s.executeQuery()) {
            r.next();
            found.add(mode + masked(r.getString(1)) + " " + state(() -> update(c, "DELETE FROM orders WHERE id = 1")));
          }
        }
      }
    }
    return found;
  }

  static Object portals() throws Exception {
    try (Connection c = pool.getConnection()) {
      c.setAutoCommit(false);
      try (PreparedStatement s = c.prepareStatement("SELECT id, ssn FROM customers ORDER BY id")) {
        s.setFetchSize(6);
        int rows = 0;
        try (ResultSet r = s.executeQuery()) {
          while (r.next()) {
            if (!masked(r.getString(2)).equals(" masked")) return "not masked";
            rows++;
          }
        }
        c.commit();
        return rows;
      }
    }
  }

  static Object batches() throws Exception {
    try (Connection c = pool.getConnection()) {
      c.setAutoCommit(false);
      int changed = 0;
      try (PreparedStatement s = c.prepareStatement("INSERT INTO products (id, name, price) VALUES (?, ?, ?)")) {
        for (int id = 11000; id < 11300; id++) {
          s.setInt(1, id);
          s.setString(2, "batched");
          s.setBigDecimal(3, BigDecimal.ONE);
          s.addBatch();
        }
        changed = s.executeBatch().length;
      }
      c.commit();
      String refused;
      try (PreparedStatement s = c.prepareStatement("DELETE FROM orders WHERE id = ?")) {
        for (int id = 0; id < 3; id++) {
          s.setInt(1, id);
          s.addBatch();
        }
        refused = state(() -> s.executeBatch());
      }
      c.rollback();
      try (Statement s = c.createStatement()) {
        s.addBatch("UPDATE products SET price = 2 WHERE id = 11000");
        s.addBatch("UPDATE products SET price = 3 WHERE id = 11001");
        s.executeBatch();
      }
      int deleted = update(c, "DELETE FROM products WHERE id >= 11000");
      c.commit();
      return List.of(changed, refused, deleted);
    }
  }

  static Object generatedKeys() throws Exception {
    try (Connection c = pool.getConnection()) {
      c.setAutoCommit(false);
      try (PreparedStatement all = c.prepareStatement("INSERT INTO notes (body) VALUES (?)", Statement.RETURN_GENERATED_KEYS);
          PreparedStatement some = c.prepareStatement("INSERT INTO people VALUES (?, 'Generated', '123-45-6789')", new String[] {"id", "ssn"})) {
        all.setString(1, "one");
        all.executeUpdate();
        String found;
        try (ResultSet r = all.getGeneratedKeys()) {
          r.next();
          found = r.getString("body");
        }
        some.setInt(1, 12000);
        some.executeUpdate();
        try (ResultSet r = some.getGeneratedKeys()) {
          r.next();
          found += r.getInt(1) + masked(r.getString(2));
        }
        c.rollback();
        return found;
      }
    }
  }

  static Object metadata() throws Exception {
    Map<String, Object> found = new TreeMap<>();
    try (Connection c = pool.getConnection()) {
      DatabaseMetaData m = c.getMetaData();
      found.put("tables", count(m.getTables(null, "public", "%", new String[] {"TABLE", "VIEW", "PARTITIONED TABLE"})) > 8);
      found.put("columns", count(m.getColumns(null, "public", "customers", null)));
      found.put("primaryKeys", count(m.getPrimaryKeys(null, "public", "order_items")));
      found.put("importedKeys", count(m.getImportedKeys(null, "public", "order_items")));
      found.put("exportedKeys", count(m.getExportedKeys(null, "public", "customers")));
      found.put("crossReference", count(m.getCrossReference(null, "public", "orders", null, "public", "order_items")));
      found.put("indexes", count(m.getIndexInfo(null, "public", "orders", false, false)));
      found.put("schemas", count(m.getSchemas()) > 2);
      found.put("catalogs", count(m.getCatalogs()) > 0);
      found.put("types", count(m.getTypeInfo()) > 10);
      found.put("functions", count(m.getFunctions(null, "public", "customer_name")));
      found.put("functionColumns", count(m.getFunctionColumns(null, "public", "customer_name", null)));
      found.put("procedures", count(m.getProcedures(null, "public", "%")));
      found.put("procedureColumns", count(m.getProcedureColumns(null, "public", "customer_name", null)));
      found.put("privileges", count(m.getTablePrivileges(null, "public", "orders")) > 0);
      found.put("columnPrivileges", count(m.getColumnPrivileges(null, "public", "orders", null)) > 0);
      found.put("udts", count(m.getUDTs(null, "public", null, null)) > 0);
      found.put("versionColumns", count(m.getVersionColumns(null, "public", "orders")));
      found.put("rowIdentifier", count(m.getBestRowIdentifier(null, "public", "orders", DatabaseMetaData.bestRowSession, false)));
      found.put("tableTypes", count(m.getTableTypes()) > 3);
      found.put("clientInfo", count(m.getClientInfoProperties()));
      found.put("keywords", m.getSQLKeywords().length() > 10);
      found.put("nameLength", m.getMaxColumnNameLength());
      found.put("isolation", m.getDefaultTransactionIsolation());
      found.put("functionsOfSystem", m.getNumericFunctions().length() > 10);
      try (PreparedStatement s = c.prepareStatement("SELECT id, ssn FROM customers WHERE id = ?")) {
        found.put("parameterType", s.getParameterMetaData().getParameterTypeName(1));
        found.put("baseColumn", s.getMetaData().getColumnLabel(2) + s.getMetaData().isAutoIncrement(1) + s.getMetaData().isNullable(1));
      }
    }
    return found;
  }

  static Object typesOfItsOwn() throws Exception {
    try (Connection c = pool.getConnection();
        PreparedStatement s = c.prepareStatement("SELECT mood, home, moods, tags FROM residents, (SELECT '{\"a\": 1}'::jsonb AS tags) AS t WHERE mood = ?::mood")) {
      s.setString(1, "happy");
      try (ResultSet r = s.executeQuery()) {
        r.next();
        return List.of(r.getString(1), r.getObject(2).toString(), ((Object[]) r.getArray(3).getArray()).length, r.getObject(4).toString());
      }
    }
  }

  static Object refusals() throws Exception {
    try (Connection c = pool.getConnection()) {
      List<Object> found = new ArrayList<>();
      found.add(state(() -> update(c, "DELETE FROM orders WHERE id = 1")));
      found.add(text(c, "SELECT 1"));
      c.setAutoCommit(false);
      update(c, "INSERT INTO products VALUES (13000, 'kept', 1)");
      java.sql.Savepoint before = c.setSavepoint();
      found.add(state(() -> update(c, "DELETE FROM orders WHERE id = 1")));
      found.add(state(() -> update(c, "SELECT 1")));
      c.rollback(before);
      c.commit();
      update(c, "INSERT INTO products VALUES (13001, 'not kept', 1)");
      found.add(state(() -> update(c, "DELETE FROM orders WHERE id = 1")));
      c.rollback();
      found.add(update(c, "DELETE FROM products WHERE id >= 13000"));
      c.commit();
      return found;
    }
  }

  static Object cancelled() throws Exception {
    List<Object> found = new ArrayList<>();
    try (Connection c = pool.getConnection(); Statement s = c.createStatement()) {
      s.setQueryTimeout(1);
      found.add(state(() -> s.executeQuery(ENDLESS)));
      found.add(text(c, "SELECT 1"));
      s.setQueryTimeout(0);
      Thread killer = new Thread(() -> {
        try {
          while (!Thread.currentThread().isInterrupted()) {
            s.cancel();
            Thread.sleep(50);
          }
        } catch (SQLException | InterruptedException ended) {
          // Interrupted below.
        }
      });
      killer.start();
      found.add(state(() -> s.executeQuery(ENDLESS)));
      killer.interrupt();
      killer.join();
    }
    try (Connection c = pool.getConnection()) {
      found.add(text(c, "SELECT 2"));
    }
    return found;
  }

  static Object copies() throws Exception {
    try (Connection c = pool.getConnection()) {
      c.setAutoCommit(false);
      CopyManager copy = c.unwrap(PGConnection.class).getCopyAPI();
      long rows = copy.copyIn("COPY products FROM STDIN (FORMAT csv)", new StringReader("14000,copied,1\n14001,copied,2\n"));
      StringWriter out = new StringWriter();
      copy.copyOut("COPY (SELECT ssn FROM customers ORDER BY id LIMIT 2) TO STDOUT", out);
      c.rollback();
      return List.of(rows, out.toString());
    }
  }

  static Object notified() throws Exception {
    try (Connection c = pool.getConnection()) {
      update(c, "LISTEN jobs");
      update(c, "NOTIFY jobs, 'work'");
      org.postgresql.PGNotification[] notes = c.unwrap(PGConnection.class).getNotifications(10_000);
      update(c, "UNLISTEN *");
      return List.of(notes[0].getName(), notes[0].getParameter());
    }
  }

  static Object isolationAndReadOnly() throws Exception {
    try (Connection c = pool.getConnection()) {
      c.setReadOnly(true);
      c.setTransactionIsolation(Connection.TRANSACTION_SERIALIZABLE);
      c.setAutoCommit(false);
      List<Object> found = new ArrayList<>();
      found.add(text(c, "SHOW transaction_read_only"));
      found.add(text(c, "SHOW transaction_isolation"));
      c.rollback();
      c.setReadOnly(false);
      c.setAutoCommit(true);
      c.setSchema("public");
      found.add(c.getSchema());
      found.add(c.getCatalog());
      return found;
    }
  }

  static Object whileSuspended() {
    try (Connection c = pool.getConnection()) {
      return text(c, "SELECT 1");
    } catch (SQLException error) {
      Throwable cause = error;
      while (cause.getCause() != null) cause = cause.getCause();
      return cause.getMessage().contains("is suspended");
    }
  }

  static Object again() throws Exception {
    try (Connection c = pool.getConnection()) {
      return text(c, "SELECT 1");
    }
  }

  static int update(Connection c, String sql) throws SQLException {
    try (Statement s = c.createStatement()) {
      s.execute(sql);
      return s.getUpdateCount();
    }
  }

  static String text(Connection c, String sql) throws SQLException {
    try (Statement s = c.createStatement(); ResultSet r = s.executeQuery(sql)) {
      r.next();
      return r.getString(1);
    }
  }

  static String masked(String ssn) {
    return ssn.matches("\\*{7}[0-9]{4}") ? " masked" : " bare";
  }

  static String state(Work work) {
    try {
      work.run();
      return "done";
    } catch (SQLException error) {
      return error.getSQLState();
    }
  }

  static int count(ResultSet rows) throws SQLException {
    int count = 0;
    try (rows) {
      while (rows.next()) count++;
    }
    return count;
  }

  static String json(Object value) {
    if (value instanceof Number || value instanceof Boolean) return value.toString();
    if (value instanceof List<?> list) return "[" + String.join(",", list.stream().map(PgJdbc::json).toList()) + "]";
    if (value instanceof Map<?, ?> map) {
      return "{" + String.join(",", map.entrySet().stream().map(e -> json(e.getKey()) + ":" + json(e.getValue())).toList()) + "}";
    }
    StringBuilder text = new StringBuilder("\"");
    for (char c : String.valueOf(value).toCharArray()) {
      if (c == '"' || c == '\\' || c < ' ') text.append(String.format("\\u%04x", (int) c));
      else text.append(c);
    }
    return text.append('"').toString();
  }

  public static void main(String[] args) throws Exception {
    Map<String, Step> steps = Map.ofEntries(
        Map.entry("open_pool", PgJdbc::openPool), Map.entry("named_and_binary", PgJdbc::namedAndBinary),
        Map.entry("every_query_mode", PgJdbc::everyQueryMode), Map.entry("portals", PgJdbc::portals),
        Map.entry("batches", PgJdbc::batches), Map.entry("generated_keys", PgJdbc::generatedKeys),
        Map.entry("metadata", PgJdbc::metadata), Map.entry("types_of_its_own", PgJdbc::typesOfItsOwn),
        Map.entry("refusals", PgJdbc::refusals), Map.entry("cancelled", PgJdbc::cancelled),
        Map.entry("copies", PgJdbc::copies), Map.entry("notified", PgJdbc::notified),
        Map.entry("isolation_and_read_only", PgJdbc::isolationAndReadOnly),
        Map.entry("while_suspended", PgJdbc::whileSuspended), Map.entry("again", PgJdbc::again));
    BufferedReader lines = new BufferedReader(new InputStreamReader(System.in));
    for (String line = lines.readLine(); line != null; line = lines.readLine()) {
      try {
        System.out.println("{\"value\":" + json(steps.get(line).run()) + "}");
      } catch (Exception error) {
        StringWriter trace = new StringWriter();
        error.printStackTrace(new java.io.PrintWriter(trace));
        System.out.println("{\"error\":" + json(trace.toString()) + "}");
      }
    }
  }
}
