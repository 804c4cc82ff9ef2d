// Shows what `pgrid doctor` finds on machines that a test lays out as folders: sys, proc and dev under a root of its own.
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>

#include "tools/pgrid/doctor/findings.hpp"

namespace pgrid::tools {
namespace {

class DoctorTest : public testing::Test {
 protected:
  void SetUp() override {
    char path[] = "/tmp/pgrid-doctor-XXXXXX";
    ASSERT_NE(mkdtemp(path), nullptr);
    machine_.root = path;
  }
  void TearDown() override { std::filesystem::remove_all(machine_.root); }

  void file(const std::string& name, const std::string& text) {
    std::filesystem::create_directories((machine_.root / name).parent_path());
    std::ofstream(machine_.root / name) << text << '\n';
  }

  Machine machine_;
};

TEST_F(DoctorTest, AnEmptyMachineLacksEverything) {
  EXPECT_EQ(look_at_privileges(machine_).level, Level::missing);
  EXPECT_EQ(look_at_tun(machine_).level, Level::missing);
  for (const Finding& f : {look_at_huge_pages(machine_), look_at_cores(machine_), look_at_isolation(machine_),
                           look_at_iommu(machine_), look_at_vfio(machine_)}) {
    EXPECT_EQ(f.level, Level::advice) << f.subject;
    EXPECT_FALSE(f.mend.empty()) << f.subject;
  }
}

TEST_F(DoctorTest, PrivilegesAreTheEffectiveCapabilities) {
  file("proc/self/status", "Name:\tx\nCapPrm:\tffffffffffffffff\nCapEff:\t0000000000001000");  // bit 12
  EXPECT_EQ(look_at_privileges(machine_).level, Level::fine);
  file("proc/self/status", "CapPrm:\tffffffffffffffff\nCapEff:\t0000000000000800");
  EXPECT_EQ(look_at_privileges(machine_).level, Level::missing);
}

TEST_F(DoctorTest, HugePagesThatOthersUseAreNotFree) {
  file("sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages", "200");
  file("sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", "128");
  EXPECT_EQ(look_at_huge_pages(machine_).level, Level::fine);
  file("sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", "10");
  const Finding finding = look_at_huge_pages(machine_);
  EXPECT_EQ(finding.level, Level::advice);
  EXPECT_EQ(finding.mend, "sysctl -w vm.nr_hugepages=222") << "190 in use and 32 more";
}

TEST_F(DoctorTest, CountsCpusAndNotOtherFolders) {
  for (const char* name : {"cpu0", "cpufreq", "cpuidle"})
    std::filesystem::create_directories(machine_.root / "sys/devices/system/cpu" / name);
  EXPECT_EQ(look_at_cores(machine_).level, Level::advice);
  std::filesystem::create_directories(machine_.root / "sys/devices/system/cpu/cpu1");
  EXPECT_EQ(look_at_cores(machine_).level, Level::fine);
}

TEST_F(DoctorTest, NicsSayHowTheyCanBePorts) {
  ASSERT_EQ(look_at_nics(machine_).size(), 1u);
  EXPECT_EQ(look_at_nics(machine_)[0].subject, "nics");
  const std::string pci = "sys/bus/pci/devices/";
  file(pci + "0000:01:00.0/class", "0x020000");
  file(pci + "0000:02:00.0/class", "0x020000");
  file(pci + "0000:03:00.0/class", "0x030000");  // a graphics card
  std::filesystem::create_directory_symlink("../drivers/ixgbe", machine_.root / pci / "0000:01:00.0/driver");
  std::filesystem::create_directory_symlink("../drivers/vfio-pci", machine_.root / pci / "0000:02:00.0/driver");
  std::filesystem::create_directories(machine_.root / pci / "0000:01:00.0/net/eth7");
  const auto nics = look_at_nics(machine_);
  ASSERT_EQ(nics.size(), 2u);
  EXPECT_NE(nics[0].text.find("af_xdp:eth7"), std::string::npos);
  EXPECT_NE(nics[0].mend.find("--bind=vfio-pci 0000:01:00.0"), std::string::npos);
  EXPECT_NE(nics[1].text.find("device = \"0000:02:00.0\""), std::string::npos);
  EXPECT_TRUE(nics[1].mend.empty());
}

}  // namespace
}  // namespace pgrid::tools
